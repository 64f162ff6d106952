import { type Builder, dataTypeNumbers, type Value } from "../../graph-builder/index.ts";
import { appendScan } from "../../graph-builder/scan.ts";
import type { Case } from "./check-gradient.ts";
import { type OperatorCase, of } from "./elementwise-cases.ts";
import { type Input, integers, normal } from "./random-tensor.ts";

type RecurrentOpType = "LSTM" | "GRU" | "RNN";

const gates = { LSTM: 4, GRU: 3, RNN: 1 } as const;
const INPUT = 2;
const HIDDEN = 3;

interface Options {
  readonly lengths?: boolean;
  readonly states?: boolean;
  readonly bias?: boolean;
  readonly peepholes?: boolean;
  /** Which outputs the loss reads. */
  readonly outputs?: readonly number[];
  readonly steps?: number;
  readonly targets?: readonly string[];
}

/** Whether the layer's functions have kinks, which a large step of the differences would cross. */
function hasKinks({ clip, activations }: Attributes): boolean {
  return clip !== undefined || /LeakyRelu|HardSigmoid|Elu/.test(String(activations));
}

type Attributes = NonNullable<Parameters<Builder["nodeFrom"]>[2]>;

/** A recurrent layer over sequences of a symbolic length, with small weights. */
function layer(
  opType: RecurrentOpType,
  title: string,
  attributes: Attributes = {},
  { lengths, states, bias = true, peepholes, outputs = [0, 1, 2], steps, targets }: Options = {},
): OperatorCase {
  const directions = attributes.direction === "bidirectional" ? 2 : 1;
  const rows = gates[opType] * HIDDEN;
  const isBatchFirst = attributes.layout === 1;
  const state = isBatchFirst ? ["batch", directions, HIDDEN] : [directions, "batch", HIDDEN];
  const length = steps ?? "steps";
  const inputs: Record<string, Input> = {
    X: normal(isBatchFirst ? ["batch", length, INPUT] : [length, "batch", INPUT]),
    W: normal([directions, rows, INPUT]),
    R: normal([directions, rows, HIDDEN]),
    ...(bias ? { B: normal([directions, 2 * rows]) } : {}),
    ...(lengths ? { lengths: integers([4, 1, 2], ["batch"]) } : {}),
    ...(states ? { H: normal(state) } : {}),
    ...(states && opType === "LSTM" ? { C: normal(state) } : {}),
    ...(peepholes ? { P: normal([directions, 3 * HIDDEN]) } : {}),
  };
  const build = (g: Builder, given: Readonly<Record<string, Value>>) => {
    const scaled = (name: string) => given[name] && g.Mul(given[name], g.float(0.5));
    const lens = given.lengths && g.Cast(given.lengths, { to: dataTypeNumbers.int32 });
    const read = [given.X, scaled("W"), scaled("R"), given.B, lens, given.H, given.C, given.P];
    const all = g.nodeFrom(
      opType,
      (opType === "LSTM" ? read : read.slice(0, 6)).map((value) => value ?? null),
      { hidden_size: HIDDEN, ...attributes },
    ).outputs;
    return all.filter((_, i) => outputs.includes(i));
  };
  return of(opType, title, inputs, build as Case["build"], {
    step: hasKinks(attributes) ? 2 ** -12 : 2 ** -7,
    tolerance: 2e-2,
    ...(targets ? { targets } : {}),
  });
}

/** h = tanh(h W + x) from the end of the sequence, with a counter that has no gradient. */
const scan = of(
  "Scan",
  "against the direction, with a weight from around it",
  { X: normal(["steps", "batch", 2]), W: normal([2, 2]), H: normal(["batch", 2]) },
  (g, { X, W, H }) => {
    const { states, made } = appendScan(g, {
      states: [H, g.int64(0)],
      sequences: [X],
      captured: [W],
      inputDirections: 1,
      step: (b, { states: [h, n], elements: [x], captured: [weight] }) => {
        const next = b.Tanh(b.Add(b.MatMul(h, weight), x));
        return { states: [next, b.Add(n, b.int64(1))], made: [next, b.Mul(h, x)] };
      },
    });
    return [states[0], ...made];
  },
  { step: 2 ** -7, tolerance: 2e-2 },
);

const all = { lengths: true, states: true };

/** Recurrent layers in all their forms. */
export const recurrentCases: readonly OperatorCase[] = [
  scan,
  layer("LSTM", "forward"),
  layer("LSTM", "of a known length, without biases", {}, { steps: 3, bias: false }),
  layer("LSTM", "a single step", {}, { steps: 1, states: true }),
  layer("LSTM", "reverse, states and lengths", { direction: "reverse" }, all),
  layer("LSTM", "bidirectional, states and lengths", { direction: "bidirectional" }, all),
  layer("LSTM", "lengths and the last states alone", {}, { ...all, outputs: [1, 2] }),
  layer("LSTM", "the last C alone", {}, { outputs: [2] }),
  layer("LSTM", "peepholes", {}, { peepholes: true, states: true }),
  layer(
    "LSTM",
    "bidirectional, peepholes and lengths",
    { direction: "bidirectional" },
    { ...all, peepholes: true },
  ),
  layer("LSTM", "layout 1, bidirectional", { layout: 1, direction: "bidirectional" }, all),
  layer("LSTM", "coupled gates", { input_forget: 1 }, { states: true }),
  layer("LSTM", "coupled gates with peepholes", { input_forget: 1 }, { states: true, peepholes: true }),
  layer("LSTM", "clip", { clip: 0.8 }, { states: true }),
  layer(
    "LSTM",
    "other activations",
    {
      activations: ["Sigmoid", "Softsign", "ScaledTanh"],
      activation_alpha: [0.9],
      activation_beta: [0.7],
    },
    { states: true },
  ),
  layer("LSTM", "the gradient of X alone", {}, { targets: ["X"] }),
  layer("GRU", "forward"),
  layer("GRU", "reverse, states and lengths", { direction: "reverse" }, all),
  layer("GRU", "bidirectional, states and lengths", { direction: "bidirectional" }, all),
  layer("GRU", "linear before reset", { linear_before_reset: 1 }, { states: true }),
  layer(
    "GRU",
    "linear before reset, bidirectional, without biases",
    { linear_before_reset: 1, direction: "bidirectional" },
    { ...all, bias: false },
  ),
  layer("GRU", "layout 1", { layout: 1 }, { states: true, outputs: [1] }),
  layer("GRU", "clip", { clip: 0.8 }, { states: true }),
  layer("RNN", "forward"),
  layer("RNN", "reverse, states and lengths", { direction: "reverse" }, all),
  layer("RNN", "bidirectional, layout 1", { direction: "bidirectional", layout: 1 }, all),
  layer("RNN", "of a known length, states", {}, { steps: 3, states: true }),
  ...[
    ["Sigmoid"],
    ["Softplus"],
    ["Softsign"],
    ["LeakyRelu", 0.3],
    ["Elu", 0.5],
    ["Elu"],
    ["HardSigmoid", 0.3, 0.4],
    ["HardSigmoid"],
    ["ScaledTanh", 0.8, 0.6],
    ["Affine", 0.7, 0.1],
  ].map(([name = "", alpha, beta]) =>
    layer("RNN", [name, alpha, beta].filter(Boolean).join(" "), {
      activations: [name],
      ...(alpha === undefined ? {} : { activation_alpha: [alpha] }),
      ...(beta === undefined ? {} : { activation_beta: [beta] }),
    }),
  ),
];
