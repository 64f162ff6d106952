import { type BoundGraph, outputOf, type Role } from "../bindings.ts";
import { UserError } from "../errors.ts";
import type { Graph, Model, Value } from "../ir.ts";
import type { Pack } from "../passes/fused-step/index.ts";
import { rewriteGraph } from "../passes/rewrite.ts";
import { tensorType, type ValueType } from "../types.ts";
import { encodeAround, encodeGraph, type IGraph, type INode } from "./model.ts";
import { nextName, packing } from "./packing.ts";
import { AttributeType } from "./schema.ts";
import { encodeType } from "./type-proto.ts";

/** What of a training step stays from step to step, and what is new in each. */
export interface ChunkNames {
  /**
   * For each input that a step replaces, the output that has its next contents: parameters, statistics,
   * moments.
   */
  readonly states: ReadonlyMap<string, string>;
  /** The inputs that every step gets anew, such as `images`. The other inputs are the same for all steps. */
  readonly scanned: readonly string[];
  /** States that the step has as one matrix and the file as the tensors that it is made of. */
  readonly packs?: readonly Pack[];
}

/**
 * What of a fused training step stays and what is new in each step, by its bindings: what the step returns
 * anew is a state, the user's inputs, the optimizer's learning rate and step number and the number of the
 * random draw are scanned, and constants are the same for all steps. Throws UserError where the step returns
 * gradients, which a chunk would have no use for.
 */
export function chunkNames({ graph, bindings }: BoundGraph): ChunkNames {
  if (bindings.some(({ role }) => role === "gradient")) {
    throw new UserError(
      `The training model ${graph.name} returns gradients, so several of its steps cannot be one call: it must update its parameters itself.`,
      { code: "model-unsupported" },
    );
  }
  const states = bindings.flatMap((binding): [string, string][] => {
    const output = outputOf(binding);
    return binding.input !== undefined && output !== undefined ? [[binding.input, output]] : [];
  });
  const kept = new Set(bindings.filter(({ role }) => !changing.includes(role)).map(({ input }) => input));
  const scanned = graph.inputs.map(({ name = "" }) => name).filter((name) => !kept.has(name));
  return { states: new Map(states), scanned };
}

/** The roles of the inputs that have another value in each step. */
const changing: readonly Role[] = ["learning-rate", "step", "random-step"];

/** The symbolic dimension of the leading axis: how many steps a call takes. */
export const STEPS = "steps";

const BODY = "step.";

/**
 * An .onnx file that takes several training steps in one run: ai.onnx Scan with the model's graph as its
 * body. States keep the names and shapes of their inputs and outputs; scanned inputs, and the outputs that
 * are no state, such as `loss`, get a leading axis `steps`. Packs are joined before the first step and cut
 * after the last. Throws UserError for a name that the graph does not have, and for a state whose output has
 * another type.
 */
export function encodeChunk(model: Model, names: ChunkNames): Uint8Array {
  const { graph } = model;
  expectNames(graph, names);
  const { states, scanned, packs = [] } = names;
  const given = [...states.keys(), ...scanned];
  const nextStates = [...states.values()];
  const results = graph.outputs.map(({ name = "" }) => name).filter((name) => !nextStates.includes(name));
  const made = [...nextStates, ...results];
  const around = packs.map((pack) => packing(pack, states.get(pack.name) ?? ""));
  const body = encodeGraph(bodyOf(graph, given, made), model.opset);
  // the inputs after the given ones are read from the graph around the body
  const ownInputs = body.input?.slice(0, given.length);
  const scan: INode = {
    name: "Scan",
    opType: "Scan",
    input: given,
    output: made,
    attribute: [
      { name: "body", type: AttributeType.GRAPH, g: { ...body, input: ownInputs } },
      { name: "num_scan_inputs", type: AttributeType.INT, i: scanned.length },
    ],
  };
  return encodeAround(model, {
    name: `${graph.name}_chunk`,
    ...ports(graph, names, results),
    initializer: around.flatMap(({ constants }) => constants),
    node: [...around.flatMap(({ before }) => before), scan, ...around.flatMap(({ after }) => after)],
  });
}

/** The inputs and outputs of the file: packs as their members, scanned values with an axis `steps`. */
function ports(
  graph: Graph,
  { states, scanned, packs = [] }: ChunkNames,
  results: readonly string[],
): Pick<IGraph, "input" | "output"> {
  const members = new Map(packs.map((pack) => [pack.name, pack.members]));
  const packOf = new Map([...states].map(([state, next]) => [next, state]));
  const input = graph.inputs.flatMap(({ name = "", type }) => {
    const parts = members
      .get(name)
      ?.map((part) => valueInfo(part.name, tensorType("float", part.dims), false));
    return parts ?? [valueInfo(name, type, scanned.includes(name))];
  });
  const output = graph.outputs.flatMap(({ name = "", type }) => {
    const parts = members
      .get(packOf.get(name) ?? "")
      ?.map((part) => valueInfo(nextName(part.name), tensorType("float", part.dims), false));
    return parts ?? [valueInfo(name, type, results.includes(name))];
  });
  return { input, output };
}

/**
 * The graph as Scan's body: its states and scanned inputs first, in order, with names of their own. The other
 * inputs follow with the names of the graph around it.
 */
function bodyOf(graph: Graph, given: readonly string[], made: readonly string[]): Graph {
  const body = rewriteGraph(
    graph,
    () => undefined,
    ({ name = "", type }, g) => g.inputOf(given.includes(name) ? BODY + name : name, type),
  );
  const order = new Map([...given.map((name) => BODY + name)].map((name, i) => [name, i]));
  const place = ({ name = "" }: Value) => order.get(name) ?? given.length;
  body.inputs.sort((a, b) => place(a) - place(b));
  body.outputs = made.map((name) => body.output(name));
  for (const output of body.outputs) output.name = BODY + output.name;
  return body;
}

function valueInfo(name: string, type: ValueType | undefined, isScanned: boolean) {
  if (type?.kind !== "tensor") {
    throw new UserError(`${name} is no tensor, and Scan takes tensors alone.`, {
      code: "model-unsupported",
      details: { name },
    });
  }
  const shape = isScanned ? [STEPS, ...type.shape] : type.shape;
  return { name, type: encodeType(tensorType(type.elemType, shape)) };
}

/**
 * Throws UserError for a name that the graph does not have, and for a state whose output has another type.
 */
function expectNames(graph: Graph, { states, scanned }: ChunkNames): void {
  const inputs = new Map(graph.inputs.map((value) => [value.name ?? "", value.type]));
  const outputs = new Map(graph.outputs.map((value) => [value.name ?? "", value.type]));
  const refuse = (name: string, message: string) => {
    throw new UserError(message, { code: "model-unsupported", details: { name } });
  };
  for (const name of [...states.keys(), ...scanned]) {
    if (!inputs.has(name)) refuse(name, `The graph ${graph.name} has no input ${name}.`);
  }
  for (const [state, next] of states) {
    const [given, made] = [inputs.get(state), outputs.get(next)];
    if (!given || !made) {
      refuse(next, `The graph ${graph.name} has no output ${next}, the next ${state}.`);
    } else if (JSON.stringify(encodeType(given)) !== JSON.stringify(encodeType(made))) {
      refuse(next, `${next} has another type than ${state}, so it cannot take its place.`);
    }
  }
}
