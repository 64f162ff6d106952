import onnxProto from "onnx-proto";
import { type BoundGraph, outputOf } from "../bindings.ts";
import { UserError } from "../errors.ts";
import type { Graph, Model } from "../ir.ts";
import type { Pack } from "../passes/fused-step.ts";
import { rewriteGraph } from "../passes/rewrite.ts";
import { int64s } from "../tensor.ts";
import { elementCount, tensorType, type ValueType } from "../types.ts";
import { encodeAround, encodeGraph, encodeType, type IGraph, type INode } from "./model.ts";
import { encodeTensor } from "./tensors.ts";

const { AttributeType } = onnxProto.onnx.AttributeProto;

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
 * anew is a state, the user's inputs and the optimizer's learning rate and step number are scanned, and
 * constants are the same for all steps. Throws UserError where the step returns gradients, which a chunk
 * would have no use for.
 */
export function chunkNames({ graph, bindings }: BoundGraph): ChunkNames {
  if (bindings.some(({ role }) => role === "gradient")) {
    throw new UserError(
      `The training model ${graph.name} returns gradients, so several of its steps cannot be one call: it must update its parameters itself.`,
    );
  }
  const states = bindings.flatMap((binding): [string, string][] => {
    const output = outputOf(binding);
    return binding.input !== undefined && output !== undefined ? [[binding.input, output]] : [];
  });
  const kept = new Set(
    bindings
      .filter((binding) => binding.role !== "learning-rate" && binding.role !== "step")
      .map(({ input }) => input),
  );
  const scanned = graph.inputs.map(({ name = "" }) => name).filter((name) => !kept.has(name));
  return { states: new Map(states), scanned };
}

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
export function encodeChunk(model: Model, { states, scanned, packs = [] }: ChunkNames): Uint8Array {
  const { graph } = model;
  const inputs = new Map(graph.inputs.map((value) => [value.name ?? "", value.type]));
  const outputs = new Map(graph.outputs.map((value) => [value.name ?? "", value.type]));
  for (const [state, next] of states)
    expectSameType(graph, inputs.get(state), outputs.get(next), state, next);
  for (const name of scanned) {
    if (!inputs.has(name)) throw new UserError(`The graph ${graph.name} has no input ${name}.`);
  }
  const given = [...states.keys(), ...scanned];
  const nextStates = [...states.values()];
  const results = [...outputs.keys()].filter((name) => !nextStates.includes(name));
  const made = [...nextStates, ...results];
  const body = encodeGraph(bodyOf(graph, given, made), model.opset);
  const membersOf = (name: string) => packs.find((pack) => pack.name === name)?.members;
  const ofInput = (name: string) =>
    membersOf(name)?.map(({ name, dims }) => valueInfo(name, tensorType("float", dims), false)) ?? [
      valueInfo(name, inputs.get(name), scanned.includes(name)),
    ];
  const packOf = new Map([...states].map(([state, next]) => [next, state]));
  const ofOutput = (name: string) =>
    membersOf(packOf.get(name) ?? "")?.map((member) =>
      valueInfo(nextName(member.name), tensorType("float", member.dims), false),
    ) ?? [valueInfo(name, outputs.get(name), results.includes(name))];
  const around = packs.map((pack) => packing(pack, states.get(pack.name) ?? ""));
  return encodeAround(model, {
    name: `${graph.name}_chunk`,
    input: [...inputs.keys()].flatMap(ofInput),
    output: [...outputs.keys()].flatMap(ofOutput),
    initializer: around.flatMap(({ constants }) => constants),
    node: [
      ...around.flatMap(({ before }) => before),
      {
        name: "Scan",
        opType: "Scan",
        input: given,
        output: made,
        attribute: [
          { name: "body", type: AttributeType.GRAPH, g: body },
          { name: "num_scan_inputs", type: AttributeType.INT, i: scanned.length },
        ],
      },
      ...around.flatMap(({ after }) => after),
    ],
  });
}

interface Packing {
  readonly constants: NonNullable<IGraph["initializer"]>;
  readonly before: INode[];
  readonly after: INode[];
}

/** The nodes that join a pack's tensors into one matrix, and that cut the next one into tensors. */
function packing({ name, members, width }: Pack, next: string): Packing {
  const axis = { name: "axis", type: AttributeType.INT, i: 0 };
  const constant = (values: readonly number[], suffix: string) =>
    encodeTensor(int64s(values), `${name}.${suffix}`);
  const rows = members.map(({ dims }) => elementCount(dims) / width);
  const flat = (i: number) => `${name}.${i}`;
  return {
    constants: [
      constant([-1, width], "rows"),
      constant(rows, "sizes"),
      ...members.map(({ dims }, i) => constant(dims, `${i}.dims`)),
    ],
    before: [
      ...members.map((member, i) => reshape(member.name, `${name}.rows`, flat(i))),
      {
        name: `${name}/Concat`,
        opType: "Concat",
        input: members.map((_, i) => flat(i)),
        output: [name],
        attribute: [axis],
      },
    ],
    after: [
      {
        name: `${name}/Split`,
        opType: "Split",
        input: [next, `${name}.sizes`],
        output: members.map((_, i) => `${flat(i)}_next`),
        attribute: [axis],
      },
      ...members.map((member, i) => reshape(`${flat(i)}_next`, `${flat(i)}.dims`, nextName(member.name))),
    ],
  };
}

function reshape(value: string, shape: string, result: string): INode {
  return {
    name: `${result}/Reshape`,
    opType: "Reshape",
    input: [value, shape],
    output: [result],
    attribute: [],
  };
}

/**
 * The graph as Scan's body: its states and scanned inputs first, in order, with names of their own. The other
 * inputs are read from the graph around it.
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
  return { name, type: encodeType(tensorType(type.elemType, shape)) };
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

function nextName(input: string): string {
  return `${input}_next`;
}
