import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import type { Call, Lowering } from "./lower.ts";

/** ONNX Runtime's recurrent layers take the steps first (layout 0), so what has the batch first is turned. */
export const recurrent = {
  LSTM: (g, call) =>
    stepsFirst(g, call, (inputs) => g.node("LSTM", inputs, { ...call.attributes, layout: 0 }).outputs),
  GRU: (g, call) =>
    stepsFirst(g, call, (inputs) => g.node("GRU", inputs, { ...call.attributes, layout: 0 }).outputs),
  RNN: (g, call) =>
    stepsFirst(g, call, (inputs) => g.node("RNN", inputs, { ...call.attributes, layout: 0 }).outputs),
} satisfies Lowering;

/** The inputs with an axis of the batch: X and the initial states. */
const batched = new Set([0, 5, 6]);

function stepsFirst(
  g: Builder,
  { node, optional, attributes }: Call<"LSTM" | "GRU" | "RNN">,
  layer: (inputs: readonly (Value | null)[]) => readonly Value[],
): readonly Value[] | undefined {
  if (attributes.layout === 0) return undefined;
  const inputs = node.inputs.map((_, i) => {
    const value = optional(i);
    return value && batched.has(i) ? g.Transpose(value, { perm: [1, 0, 2] }) : value;
  });
  const [Y, ...states] = layer(inputs);
  const turned = states.map((state) => g.Transpose(state, { perm: [1, 0, 2] }));
  return Y ? [g.Transpose(Y, { perm: [2, 0, 1, 3] }), ...turned] : undefined;
}
