import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import type { Graph, Value } from "../../ir.ts";
import { sameShape } from "../../types.ts";
import type { Pass } from "../pass.ts";
import { appendConvolution, type Convolution, type Filters, ownConvolution } from "./convolution.ts";
import { isReadOnce, sharedName, transform } from "./transform.ts";

/**
 * Replaces the sum of two convolutions with the same window by one convolution, which reads the Concat of
 * their inputs along the channels: conv(A, V) + conv(B, W) = conv(concat(A, B), concat(V, W)). Where a Relu
 * makes both inputs, one Relu behind the Concat takes their place.
 */
export const mergeBranches: Pass = { name: "merge-branches", run: merge };

function merge(graph: Graph): Graph {
  return transform(graph, (node, inputs, g) => {
    if (node.opType !== "Add") return undefined;
    const [first, second] = inputs.map((input, i) => ownConvolution(graph, node.inputs[i], input));
    if (!first || !second || !isAlike(first, second)) return undefined;
    const isOwn = node.inputs.every((input) => isReadOnce(graph, input?.producer?.inputs[0]));
    const X = joinChannels(g, [first.X, second.X], isOwn);
    return [appendConvolution(g, [first, second], X, besideEachOther(first, second), first)];
  });
}

function isAlike(a: Convolution, b: Convolution): boolean {
  const window = ({ dims, strides, dilations, pads }: Convolution) =>
    [dims[0], ...dims.slice(2), strides, dilations, pads].join();
  const isSameMap = sameShape(a.X.shape.toSpliced(1, 1), b.X.shape.toSpliced(1, 1));
  return a.group === 1 && b.group === 1 && isSameMap && window(a) === window(b);
}

function joinChannels(g: Builder, maps: readonly Value[], isOwn: boolean): Value {
  const makers = maps.map(({ producer }) => producer);
  if (!isOwn || !makers.every((maker) => maker?.opType === "Relu")) return g.Concat(...maps, { axis: 1 });
  const inner = makers.map((maker) => maker?.inputs[0]).filter((value) => value != null);
  const path = sharedName(
    makers.map((maker) => maker?.name),
    "/",
  );
  return g.node("Relu", [g.Concat(...inner, { axis: 1 })], {}, path).output(0);
}

/** The filters of two convolutions, concatenated along the input channels; their biases are added. */
function besideEachOther(a: Filters, b: Filters): Filters {
  const [filters, channels, ...kernel] = [at(a.dims, 0), at(a.dims, 1), ...a.dims.slice(2)] as const;
  const [near, far] = [a.W.length / filters, b.W.length / filters];
  const W = new Float64Array(a.W.length + b.W.length);
  for (let i = 0; i < filters; i++) {
    W.set(a.W.subarray(i * near, (i + 1) * near), i * (near + far));
    W.set(b.W.subarray(i * far, (i + 1) * far), i * (near + far) + near);
  }
  const B = a.B.map((bias, i) => bias + at(b.B, i));
  return { dims: [filters, channels + at(b.dims, 1), ...kernel], W, B };
}
