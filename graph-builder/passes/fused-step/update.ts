import { type Binding, type BoundGraph, outputOf } from "../../bindings.ts";
import { UserError } from "../../errors.ts";
import type { Value } from "../../ir.ts";

/** The updates of an optimizer model: the same, number by number, for all parameters of a form. */
export interface CommonUpdate {
  readonly parameters: ReadonlyMap<string, UpdatedNames>;
  /** How many moments a parameter has. */
  readonly moments: number;
  readonly forms: readonly UpdateForm[];
  /** What the inputs of all parameters are, by name: `weights`, `gradient`, `momentum`. */
  readonly roles: ReadonlyMap<string, string>;
  /** The learning rate, the step and the moments. */
  readonly controls: readonly Binding[];
}

/** What is done to some of the parameters, such as those of one weight decay. */
export interface UpdateForm {
  readonly parameters: ReadonlySet<string>;
  /** The next weight and moments of the first parameter. */
  readonly made: readonly Value[];
}

/** The names of a parameter's tensors in the optimizer model. */
interface UpdatedNames {
  readonly next: string;
  readonly gradient: string;
  readonly moments: readonly string[];
  readonly nextMoments: readonly string[];
}

const elementwise: ReadonlySet<string> = new Set([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Neg",
  "Sqrt",
  "Pow",
  "Reciprocal",
  "Cast",
  "Identity",
  "Clip",
  "Min",
  "Max",
]);

/** The role of a parameter's moment in an update. */
export function momentRole(index: number, moments: number): string {
  return moments === 1 ? "momentum" : `momentum_${index + 1}`;
}

/**
 * Reads what an optimizer model does to its parameters. Throws UserError where it does not do it number by
 * number, but for a sum over all parameters, such as the norm of their gradients.
 */
export function readUpdate({ graph, bindings }: BoundGraph): CommonUpdate {
  const outputs = new Map(graph.outputs.map((value) => [value.name ?? "", value]));
  const parameters = updatedNames(bindings);
  if (parameters.size === 0) {
    throw new UserError("The optimizer model updates no parameter from its gradient.", {
      code: "model-unsupported",
    });
  }
  const roles = new Map([...parameters].flatMap(([name, names]) => [...inputRoles(name, names)]));
  const reader = new FormReader(roles, parameters.size);
  const forms = new Map<string, { parameters: Set<string>; made: readonly Value[] }>();
  for (const [name, { next, nextMoments }] of parameters) {
    const made = [next, ...nextMoments].flatMap((output) => outputs.get(output) ?? []);
    const key = made.map((value) => reader.formOf(value)).join(" ");
    const form = forms.get(key) ?? { parameters: new Set(), made };
    form.parameters.add(name);
    forms.set(key, form);
  }
  const counts = new Set([...parameters.values()].map(({ moments }) => moments.length));
  const [moments = 0] = counts;
  if (counts.size > 1) {
    throw new UserError("The optimizer model keeps more moments of some parameters than of others.", {
      code: "model-unsupported",
    });
  }
  const controls = bindings.filter(({ role }) => ["learning-rate", "step", "moment"].includes(role));
  return { parameters, moments, forms: [...forms.values()], roles, controls };
}

function updatedNames(bindings: readonly Binding[]): Map<string, UpdatedNames> {
  const found = new Map<string, UpdatedNames>();
  for (const binding of bindings) {
    const next = outputOf(binding);
    if (binding.role !== "parameter" || next === undefined) continue;
    const parameter = binding.input;
    const gradient = bindings.find(
      (other) => other.role === "gradient" && other.parameter === parameter,
    )?.input;
    if (gradient === undefined) continue;
    const moments = bindings.filter((other) => other.role === "moment" && other.parameter === parameter);
    found.set(parameter, {
      next,
      gradient,
      moments: moments.map(({ input = "" }) => input),
      nextMoments: moments.map((moment) => outputOf(moment) ?? ""),
    });
  }
  return found;
}

function inputRoles(name: string, { gradient, moments }: UpdatedNames): [string, string][] {
  return [
    [name, "weights"],
    [gradient, "gradient"],
    ...moments.map((moment, i): [string, string] => [moment, momentRole(i, moments.length)]),
  ];
}

/** Writes what values are computed by, with the parameters' own tensors named by their role. */
class FormReader {
  readonly #roles: ReadonlyMap<string, string>;
  readonly #count: number;
  readonly #known = new Map<Value, string>();

  constructor(roles: ReadonlyMap<string, string>, count: number) {
    this.#roles = roles;
    this.#count = count;
  }

  formOf(value: Value | null): string {
    if (!value) return "-";
    const form = this.#known.get(value) ?? this.#read(value);
    this.#known.set(value, form);
    return form;
  }

  #read(value: Value): string {
    if (value.constant) return value.constant.key;
    const { producer, name = "" } = value;
    if (!producer) return this.#roles.get(name) ?? name;
    const parts = sumOverParameters(value);
    if (parts) {
      const [form, ...others] = new Set(parts.map((part) => this.formOf(part)));
      if (others.length === 0 && parts.length === this.#count) return `SumOverParameters(${form})`;
    }
    if (!elementwise.has(producer.opType)) {
      throw new UserError(
        `The optimizer's ${producer.opType} at ${producer.name} is not elementwise, so parameters cannot be updated together.`,
        { code: "model-unsupported", details: { node: producer.name } },
      );
    }
    const inputs = producer.inputs.map((input) => this.formOf(input));
    return `${producer.opType}(${inputs.join()})${JSON.stringify(producer.attributes)}`;
  }
}

/**
 * What a Sum adds up where each of its inputs is the ReduceSum of a whole tensor; undefined for another
 * value.
 */
export function sumOverParameters({ producer }: Value): Value[] | undefined {
  if (producer?.opType !== "Sum") return undefined;
  const parts = producer.inputs.flatMap((input) => {
    const reduction = input?.producer;
    const isWhole = reduction?.opType === "ReduceSum" && !reduction.inputs[1];
    return isWhole && input?.shape.length === 0 ? [reduction.input(0)] : [];
  });
  return parts.length === producer.inputs.length ? parts : undefined;
}
