import { UserError } from "../errors.ts";
import type { Graph, Model } from "../ir.ts";
import { rewriteGraph } from "../passes/rewrite.ts";
import type { ValueType } from "../types.ts";
import { encodeAround, encodeGraph, encodeType } from "./model.ts";
import { onnx } from "./wire.ts";

/** What of a training step stays from step to step, and what is new in each. */
export interface ChunkNames {
  /** For each input that a step replaces, the output that has its next contents: parameters, statistics, moments. */
  readonly states: ReadonlyMap<string, string>;
  /** The inputs that every step gets anew, such as `images`. The other inputs are the same for all steps. */
  readonly scanned: readonly string[];
}

/** The symbolic dimension of the leading axis: how many steps a call takes. */
export const STEPS = "steps";

const BODY = "step.";

/**
 * An .onnx file that takes several training steps in one run: ai.onnx Scan with the model's graph as its body. States keep the
 * names and shapes of their inputs and outputs; scanned inputs, and the outputs that are no state, such as `loss`, get a leading
 * axis `steps`. Throws UserError for a name that the graph does not have, and for a state whose output has another type.
 */
export function encodeChunk(model: Model, { states, scanned }: ChunkNames): Uint8Array {
  const { graph } = model;
  const inputs = new Map(graph.inputs.map((value) => [value.name ?? "", value.type]));
  const outputs = new Map(graph.outputs.map((value) => [value.name ?? "", value.type]));
  for (const [state, next] of states) expectSameType(graph, inputs.get(state), outputs.get(next), state, next);
  for (const name of scanned) {
    if (!inputs.has(name)) throw new UserError(`The graph ${graph.name} has no input ${name}.`);
  }
  const given = [...states.keys(), ...scanned];
  const nextStates = [...states.values()];
  const results = [...outputs.keys()].filter((name) => !nextStates.includes(name));
  const made = [...nextStates, ...results];
  const body = encodeGraph(bodyOf(graph, given, made));
  const ofInput = (name: string) => valueInfo(name, inputs.get(name), scanned.includes(name));
  const ofOutput = (name: string) => valueInfo(name, outputs.get(name), results.includes(name));
  const types = onnx.AttributeProto.AttributeType;
  return encodeAround(model, {
    name: `${graph.name}_chunk`,
    input: [...inputs.keys()].map(ofInput),
    output: [...outputs.keys()].map(ofOutput),
    node: [
      {
        name: "Scan",
        opType: "Scan",
        input: given,
        output: made,
        attribute: [
          { name: "body", type: types.GRAPH, g: body },
          { name: "num_scan_inputs", type: types.INT, i: scanned.length },
        ],
      },
    ],
  });
}

/**
 * The graph as Scan's body: its states and scanned inputs first, in order, with names of their own. The other inputs are read
 * from the graph around it.
 */
function bodyOf(graph: Graph, given: readonly string[], made: readonly string[]): Graph {
  const body = rewriteGraph(
    graph,
    () => undefined,
    ({ name = "", type }, g) => g.inputOf(given.includes(name) ? BODY + name : name, type),
  );
  const order = new Map([...given.map((name) => BODY + name)].map((name, i) => [name, i]));
  const own = body.inputs.filter(({ name = "" }) => order.has(name));
  own.sort((a, b) => (order.get(a.name ?? "") ?? 0) - (order.get(b.name ?? "") ?? 0));
  body.inputs.splice(0, body.inputs.length, ...own);
  body.outputs = made.map((name) => body.output(name));
  for (const output of body.outputs) output.name = BODY + output.name;
  return body;
}

function valueInfo(name: string, type: ValueType | undefined, isScanned: boolean) {
  if (type?.kind !== "tensor") throw new UserError(`${name} is no tensor, and Scan takes tensors alone.`);
  const shape = isScanned ? [STEPS, ...type.shape] : type.shape;
  return { name, type: encodeType({ ...type, shape }) };
}

function expectSameType(
  graph: Graph,
  state: ValueType | undefined,
  next: ValueType | undefined,
  ...[name, nextName]: readonly [string, string]
): void {
  if (!state) throw new UserError(`The graph ${graph.name} has no input ${name}.`);
  if (!next) throw new UserError(`The graph ${graph.name} has no output ${nextName}, the next ${name}.`);
  if (JSON.stringify(encodeType(state)) === JSON.stringify(encodeType(next))) return;
  throw new UserError(`${nextName} has another type than ${name}, so it cannot take its place.`);
}
