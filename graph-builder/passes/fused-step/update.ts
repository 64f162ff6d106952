import { type Binding, type BoundGraph, outputOf } from "../../bindings.ts";
import type { Builder } from "../../builder.ts";
import { UserError } from "../../errors.ts";
import type { Value } from "../../ir.ts";
import type { Pack } from "./packs.ts";

/** An update that is the same, number by number, for all parameters. */
export interface CommonUpdate {
  readonly parameters: ReadonlyMap<string, UpdatedNames>;
  /** How many moments a parameter has. */
  readonly moments: number;
  /** The next weight and moments of the first parameter. */
  readonly made: readonly Value[];
  /** What the inputs of the first parameter are: `weights`, `gradient`, `momentum`. */
  readonly roles: ReadonlyMap<string, string>;
  /** The learning rate, the step and the moments. */
  readonly controls: readonly Binding[];
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
]);

/** The role of a parameter's moment in an update. */
export function momentRole(index: number, moments: number): string {
  return moments === 1 ? "momentum" : `momentum_${index + 1}`;
}

/**
 * Reads what an optimizer model does to one parameter. Throws UserError where it does not do the same to
 * all of them, or not number by number.
 */
export function readUpdate({ graph, bindings }: BoundGraph): CommonUpdate {
  const outputs = new Map(graph.outputs.map((value) => [value.name ?? "", value]));
  const parameters = updatedNames(bindings);
  const [first] = parameters;
  if (!first) {
    throw new UserError("The optimizer model updates no parameter from its gradient.", {
      code: "model-unsupported",
    });
  }
  const valuesOf = ({ next, nextMoments }: UpdatedNames) =>
    [next, ...nextMoments].flatMap((name) => outputs.get(name) ?? []);
  const form = (name: string, names: UpdatedNames) => {
    const inputs = inputRoles(name, names);
    return valuesOf(names)
      .map((value) => formOf(value, inputs))
      .join(" ");
  };
  const [firstName, firstNames] = first;
  for (const [name, names] of parameters) {
    if (form(name, names) === form(firstName, firstNames)) continue;
    throw new UserError(
      `The optimizer updates ${name} in another way than ${firstName}, so they cannot be updated together.`,
      { code: "model-unsupported", details: { parameter: name } },
    );
  }
  return {
    parameters,
    moments: firstNames.moments.length,
    made: valuesOf(firstNames),
    roles: inputRoles(firstName, firstNames),
    controls: bindings.filter(({ role }) => ["learning-rate", "step", "moment"].includes(role)),
  };
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

function inputRoles(name: string, { gradient, moments }: UpdatedNames): Map<string, string> {
  return new Map([
    [name, "weights"],
    [gradient, "gradient"],
    ...moments.map((moment, i): [string, string] => [moment, momentRole(i, moments.length)]),
  ]);
}

/** What a value is computed by, with the parameter's own tensors named by their role. */
function formOf(value: Value | null, roles: ReadonlyMap<string, string>): string {
  if (!value) return "-";
  if (value.constant) return `${value.elemType}[${value.constant.dims}]${value.constant.data.join()}`;
  const { producer, name = "" } = value;
  if (!producer) return roles.get(name) ?? name;
  if (!elementwise.has(producer.opType)) {
    throw new UserError(
      `The optimizer's ${producer.opType} at ${producer.name} is not elementwise, so parameters cannot be updated together.`,
      { code: "model-unsupported", details: { node: producer.name } },
    );
  }
  const inputs = producer.inputs.map((input) => formOf(input, roles));
  return `${producer.opType}(${inputs.join()})${JSON.stringify(producer.attributes)}`;
}

/**
 * Appends the update of the packs of one group: the weights, then their moments. Returns the next of each
 * pack by its name.
 */
export function appendUpdate(
  g: Builder,
  { made: values, roles: inputs, moments }: CommonUpdate,
  packs: readonly Pack[],
  matrices: ReadonlyMap<string, Value>,
  gradient: Value,
): [string, Value][] {
  const roles = new Map<string, Value>([["gradient", gradient]]);
  for (const [i, { name }] of packs.entries()) {
    const value = matrices.get(name);
    if (value) roles.set(i === 0 ? "weights" : momentRole(i - 1, moments), value);
  }
  const done = new Map<Value, Value>();
  const made = ({ producer, constant, name = "", type }: Value): Value => {
    if (constant) return g.constant(constant);
    if (producer) {
      const given = producer.inputs.map((input) => input && translate(input));
      return g.copy(producer, given).output(0);
    }
    const own = roles.get(inputs.get(name) ?? "");
    return own ?? g.graph.inputs.find((input) => input.name === name) ?? g.inputOf(name, type);
  };
  const translate = (value: Value): Value => {
    const result = done.get(value) ?? made(value);
    done.set(value, result);
    return result;
  };
  return values.map((value, i) => [packs[i]?.name ?? "", translate(value)]);
}
