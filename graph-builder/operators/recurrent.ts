import { at } from "../at.ts";
import { type TensorType, tensorType } from "../types.ts";
import { dimAt, mayEqual, normalAxis, refuse, unsupported } from "./inference.ts";
import { attribute, type CompleteAttributes, type Operand, operator, optional, required } from "./schema.ts";

const recurrentAttributes = {
  activation_alpha: optional("floats"),
  activation_beta: optional("floats"),
  activations: optional("strings"),
  clip: optional("float"),
  direction: attribute("string", "forward"),
  hidden_size: optional("int"),
  layout: attribute("int", 0),
};

type RecurrentAttributes = CompleteAttributes<typeof recurrentAttributes>;

/** `layout` came with opset 14. */
const since = ({ layout }: RecurrentAttributes) => (layout === 0 ? 11 : 14);

/** How many directions a recurrent layer runs through its sequences. */
export function directionsOf(direction: string): number {
  if (direction === "bidirectional") return 2;
  if (direction === "forward" || direction === "reverse") return 1;
  return refuse(`direction must be forward, reverse or bidirectional, not ${direction}`);
}

/** The types of Y and the last states; `gates` is how many rows of the weights belong to a hidden unit. */
function states(
  gates: number,
  [X, W, R]: readonly [X: Operand, W: Operand, R: Operand],
  { direction, hidden_size, layout }: RecurrentAttributes,
): readonly [TensorType, TensorType, TensorType] {
  if (X.shape.length !== 3) refuse("X must have the axes sequence, batch and input");
  if (W.shape.length !== 3 || R.shape.length !== 3) refuse("W and R must have three axes");
  const directions = directionsOf(direction);
  const hidden = hidden_size ?? dimAt(R.shape, 2);
  for (const [weights, columns] of [[W, dimAt(X.shape, 2)] as const, [R, hidden] as const]) {
    const expected = [directions, typeof hidden === "number" ? gates * hidden : dimAt(W.shape, 1), columns];
    if (!expected.every((dim, i) => mayEqual(dim, dimAt(weights.shape, i)))) {
      refuse(`a weight must be [${expected.join(", ")}], not [${weights.shape.join(", ")}]`);
    }
  }
  const [steps, batch] = [dimAt(X.shape, layout), dimAt(X.shape, 1 - layout)];
  const last = [directions, batch, hidden];
  const dims = layout ? [batch, steps, directions, hidden] : [steps, ...last];
  const state = tensorType(X.elemType, layout ? [batch, directions, hidden] : last);
  return [tensorType(X.elemType, dims), state, state];
}

/** The types of Scan's outputs: final states like the initial ones, then a sequence per further output. */
function scanned(inputs: readonly Operand[], attributes: ScanAttributes): TensorType[] {
  const { body, num_scan_inputs, scan_input_axes, scan_output_axes } = attributes;
  const { graph, captured } = body;
  const listed = inputs.slice(0, inputs.length - captured);
  const count = listed.length - num_scan_inputs;
  const results = graph.outputs.slice(count);
  if (graph.inputs.length !== inputs.length || count < 0 || graph.outputs.length < count) {
    refuse(`its body takes ${graph.inputs.length - captured} inputs and is given ${listed.length}`);
  }
  expectEntries(attributes, results.length);
  const axisOf = (axes: readonly number[] | undefined, i: number, rank: number) =>
    normalAxis(axes === undefined ? 0 : at(axes, i), rank);
  const lengths = listed
    .slice(count)
    .map(({ shape }, i) => dimAt(shape, axisOf(scan_input_axes, i, shape.length)));
  const [length] = lengths;
  if (length === undefined) return unsupported("a Scan without scan inputs has no length");
  if (!lengths.every((each) => mayEqual(each, length))) refuse(`its inputs have ${lengths.join(", ")} steps`);
  const sequences = results.map(({ elemType, shape }, i) => {
    const axis = axisOf(scan_output_axes, i, shape.length + 1);
    return tensorType(elemType, [...shape.slice(0, axis), length, ...shape.slice(axis)]);
  });
  return [...listed.slice(0, count).map(({ tensor }) => tensor), ...sequences];
}

const scanAttributes = {
  body: required("graph"),
  num_scan_inputs: required("int"),
  scan_input_axes: optional("ints"),
  scan_input_directions: optional("ints"),
  scan_output_axes: optional("ints"),
  scan_output_directions: optional("ints"),
};

type ScanAttributes = CompleteAttributes<typeof scanAttributes>;

/** Refuses a list of axes or directions that has not one entry for each sequence. */
function expectEntries(attributes: ScanAttributes, made: number): void {
  const read = attributes.num_scan_inputs;
  const lists = [
    ["scan_input_axes", read],
    ["scan_input_directions", read],
    ["scan_output_axes", made],
    ["scan_output_directions", made],
  ] as const;
  for (const [name, wanted] of lists) {
    const count = attributes[name]?.length ?? wanted;
    if (count !== wanted) refuse(`${name} needs one entry for each sequence: ${wanted}, not ${count}`);
  }
}

/** Recurrent layers, and the loop that their gradients run in. */
export const recurrent = {
  LSTM: operator({
    since,
    inputs: ["X", "W", "R", "B?", "sequence_lens?", "initial_h?", "initial_c?", "P?"],
    outputs: ["Y?", "Y_h?", "Y_c?"],
    attributes: { ...recurrentAttributes, input_forget: attribute("int", 0) },
    infer: ([X, W, R], attributes) => states(4, [X, W, R], attributes),
  }),
  GRU: operator({
    since,
    inputs: ["X", "W", "R", "B?", "sequence_lens?", "initial_h?"],
    outputs: ["Y?", "Y_h?"],
    attributes: { ...recurrentAttributes, linear_before_reset: attribute("int", 0) },
    infer: ([X, W, R], attributes) => states(3, [X, W, R], attributes).slice(0, 2),
  }),
  RNN: operator({
    since,
    inputs: ["X", "W", "R", "B?", "sequence_lens?", "initial_h?"],
    outputs: ["Y?", "Y_h?"],
    attributes: recurrentAttributes,
    infer: ([X, W, R], attributes) => states(1, [X, W, R], attributes).slice(0, 2),
  }),
  Scan: operator({
    inputs: ["initial_state_and_scan_inputs..."],
    outputs: ["final_state_and_scan_outputs..."],
    attributes: scanAttributes,
    obligatoryOutputs: ({ body }) => body.graph.outputs.length,
    infer: (inputs, attributes) => scanned(inputs, attributes),
  }),
};
