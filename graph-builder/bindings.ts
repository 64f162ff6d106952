import { UserError } from "./errors.ts";
import { createModel, type Graph, type Model } from "./ir.ts";

/**
 * What an input or output of a graph is to a training step.
 * - parameter, statistic, constant: a tensor of the checkpoint by the name of `input`. A parameter is
 *   trained, a statistic is a running mean or variance, and no step changes a constant.
 * - gradient: the gradient of `parameter`. A graph takes it (`input`), returns it (`output`), or takes it and
 *   returns it changed.
 * - moment: what the optimizer keeps for `parameter` between steps; `index` counts its moments from 0.
 * - learning-rate (float [1]), step (int64 [1], from 1), reset-gradients (bool [1]): inputs that tell a step
 *   what to do.
 * - random-seed, random-step (int64 [1]): inputs from which the graph draws random numbers, such as the masks
 *   of a dropout. Each random-step gives other numbers.
 *
 * `output` returns the next value. A file with ONNX Runtime's in-place operators has none: its kernels write
 * into `input`.
 */
export type Binding = TensorBinding | GradientBinding | MomentBinding | ControlBinding;

/** A tensor of the checkpoint, by the name of `input`. */
export interface TensorBinding {
  readonly role: "parameter" | "statistic" | "constant";
  readonly input: string;
  readonly output?: string;
}

/** The gradient of a parameter. */
export interface GradientBinding {
  readonly role: "gradient";
  readonly parameter: string;
  readonly input?: string;
  readonly output?: string;
}

/** A moment of a parameter; `index` counts from 0. */
export interface MomentBinding {
  readonly role: "moment";
  readonly parameter: string;
  readonly index: number;
  readonly input: string;
  readonly output?: string;
}

/** An input that tells a step what to do. */
export interface ControlBinding {
  readonly role: ControlRole;
  readonly input: string;
}

/** The role of an input that tells a step what to do. */
export type ControlRole = "learning-rate" | "step" | "reset-gradients" | "random-seed" | "random-step";

/** Whether a binding is that of an input that tells a step what to do. */
export function isControl(binding: Binding): binding is ControlBinding {
  return isControlRole(binding.role);
}

/** Whether a binding is that of an input from which the graph draws random numbers. */
export function isRandom({ role }: Binding): boolean {
  return role === "random-seed" || role === "random-step";
}

const controlRoles: readonly ControlRole[] = [
  "learning-rate",
  "step",
  "reset-gradients",
  "random-seed",
  "random-step",
];

function isControlRole(role: unknown): role is ControlRole {
  return controlRoles.some((each) => each === role);
}

/** The part of a binding in a training step. */
export type Role = Binding["role"];

/** A graph, and which of its inputs and outputs belong to the training step; the others are the user's. */
export interface BoundGraph {
  readonly graph: Graph;
  readonly bindings: readonly Binding[];
}

/**
 * The key of a model's metadata_props whose value is the JSON `{ "format": 1, "bindings": [Binding, ...] }`.
 */
export const BINDINGS_KEY = "training.bindings";

/** A model that says its bindings in its metadata, where it has any. */
export function bindModel(
  { graph, bindings }: BoundGraph,
  { docString, metadataProps }: { docString?: string; metadataProps?: Readonly<Record<string, string>> } = {},
): Model {
  const said = bindings.length > 0 ? { [BINDINGS_KEY]: JSON.stringify({ format: 1, bindings }) } : {};
  return createModel(graph, {
    ...(docString === undefined ? {} : { docString }),
    metadataProps: { ...metadataProps, ...said },
  });
}

/** The other metadata of a model. */
export function metadataBesideBindings({
  metadataProps,
}: Pick<Model, "metadataProps">): Record<string, string> {
  return Object.fromEntries(Object.entries(metadataProps).filter(([key]) => key !== BINDINGS_KEY));
}

/**
 * The bindings in a model's metadata; undefined where it has none. `where` names the file in errors. Throws
 * UserError where they are not of the form above, or name an input or output that the graph does not have.
 */
export function readBindings({ graph, metadataProps }: Model, where: string): Binding[] | undefined {
  const json = metadataProps[BINDINGS_KEY];
  if (json === undefined) return undefined;
  const refuse = (what: string): never => {
    throw new UserError(`${where} has a damaged ${BINDINGS_KEY} in its metadata: ${what}.`, {
      code: "bindings-damaged",
      details: { where, reason: what },
    });
  };
  const entries = entriesOf(json) ?? refuse('it is not JSON of the form { "format": 1, "bindings": [...] }');
  const bindings = entries.map(
    (entry, i) => bindingOf(entry) ?? refuse(`its entry ${i} is ${JSON.stringify(entry)}`),
  );
  for (const [end, values] of [
    ["input", graph.inputs],
    ["output", graph.outputs],
  ] as const) {
    const left = new Set(values.map(({ name }) => name));
    for (const binding of bindings) {
      const name = endOf(binding, end);
      if (name !== undefined && !left.delete(name)) refuse(`${end} ${name} is bound twice, or is not there`);
    }
  }
  return bindings;
}

/** The name of the graph's output that returns a binding's next value. */
export function outputOf(binding: Binding): string | undefined {
  return endOf(binding, "output");
}

function endOf(binding: Binding, end: "input" | "output"): string | undefined {
  return end === "input" ? binding.input : "output" in binding ? binding.output : undefined;
}

function entriesOf(json: string): unknown[] | undefined {
  try {
    const parsed: unknown = JSON.parse(json);
    if (!isRecord(parsed) || parsed["format"] !== 1) return undefined;
    return Array.isArray(parsed["bindings"]) ? parsed["bindings"] : undefined;
  } catch {
    return undefined;
  }
}

function bindingOf(entry: unknown): Binding | undefined {
  if (!isRecord(entry)) return undefined;
  const { role, input, output, parameter, index } = entry;
  if (![input, output, parameter].every((name) => name === undefined || typeof name === "string"))
    return undefined;
  const end = typeof output === "string" ? { output } : {};
  if (role === "gradient") {
    if (typeof parameter !== "string") return undefined;
    return { role, parameter, ...(typeof input === "string" ? { input } : {}), ...end };
  }
  if (typeof input !== "string") return undefined;
  if (isControlRole(role)) return { role, input };
  switch (role) {
    case "parameter":
    case "statistic":
    case "constant":
      return { role, input, ...end };
    case "moment":
      if (typeof parameter !== "string" || !isIndex(index)) return undefined;
      return { role, parameter, index, input, ...end };
    default:
      return undefined;
  }
}

function isIndex(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
