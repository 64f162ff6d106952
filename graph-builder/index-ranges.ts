import { type Graph, isOp, type Node, type Value } from "./ir.ts";
import { normalAxis } from "./operators/inference.ts";
import { ownEntry } from "./own-entry.ts";
import { integerTypes } from "./types.ts";

/** The whole numbers that an input may hold, because an operator reads them as classes or as indices. */
export interface IndexRange {
  /** Classes of a cross-entropy, or indices into a table. */
  readonly kind: "class" | "index";
  /** The smallest and the largest number. */
  readonly from: number;
  readonly to: number;
  /** A label outside the range that does not count. */
  readonly ignored?: number | undefined;
}

/**
 * The ranges of the graph's inputs, by their names, where operators tell them: the labels of a cross-entropy,
 * also after its lowering to OneHot, and the indices of a Gather. An input that several operators read has a
 * range for each.
 */
export function indexRanges(graph: Graph): Map<string, readonly IndexRange[]> {
  const found = new Map<string, readonly IndexRange[]>();
  for (const input of graph.inputs) {
    if (input.name === undefined || !isInteger(input)) continue;
    const ranges = rangesOf(input);
    if (ranges.length > 0) found.set(input.name, ranges);
  }
  return found;
}

function isInteger({ type }: Value): boolean {
  return type.kind === "tensor" && integerTypes.has(type.elemType);
}

/** Operators that pass the elements of input 0 on as they are. */
const passing: ReadonlySet<string> = new Set([
  "Cast",
  "Flatten",
  "Identity",
  "Reshape",
  "Squeeze",
  "Transpose",
  "Unsqueeze",
]);

function rangesOf(value: Value): IndexRange[] {
  return value.uses.flatMap(({ node, index }) => {
    const output = node.outputs[0];
    if (index === 0 && output && passing.has(node.opType)) {
      return isInteger(output) ? rangesOf(output) : [];
    }
    const range = ownEntry(readers, node.opType)?.(node, index);
    return range ? [range] : [];
  });
}

/** How operators read an integer input. */
const readers: Readonly<Record<string, (node: Node, index: number) => IndexRange | undefined>> = {
  SoftmaxCrossEntropyLoss: (node, index) => {
    const classes = index === 1 ? node.input(0).shape[1] : undefined;
    if (typeof classes !== "number" || !isOp(node, "SoftmaxCrossEntropyLoss")) return undefined;
    return { kind: "class", from: 0, to: classes - 1, ignored: node.attributes.ignore_index };
  },
  // the lowering of a cross-entropy picks the logarithms of the probabilities at the one-hot labels
  OneHot: (node, index) => {
    const classes = node.inputs[1]?.constant?.numbers()[0];
    const isLoss = castUses(node.output(0)).some(
      (user) => isOp(user, "Where") && areLogProbabilities(user.input(1)),
    );
    if (index !== 0 || classes === undefined || !isLoss) return undefined;
    return { kind: "class", from: 0, to: classes - 1, ignored: comparedNumber(node.input(0)) };
  },
  Gather: (node, index) => {
    if (index !== 1 || !isOp(node, "Gather")) return undefined;
    const { shape } = node.input(0);
    const rows = shape[normalAxis(node.attributes.axis, shape.length)];
    return typeof rows === "number" ? { kind: "index", from: -rows, to: rows - 1 } : undefined;
  },
};

/** The nodes that read a value, also behind a Cast. */
function castUses({ uses }: Value): Node[] {
  return uses.flatMap(({ node }) => (isOp(node, "Cast") ? castUses(node.output(0)) : [node]));
}

/** Whether a value is a LogSoftmax, also in the operators of WebGPU: X - log(sum(exp(X))). */
function areLogProbabilities({ producer: node }: Value): boolean {
  if (isOp(node, "LogSoftmax")) return true;
  const logarithm = isOp(node, "Sub") ? node.input(1).producer : undefined;
  return isOp(logarithm, "Log") && isOp(logarithm.input(0).producer, "ReduceSum");
}

/** The constant that a value is compared with: the label that a lowered cross-entropy ignores. */
function comparedNumber({ uses }: Value): number | undefined {
  const numbers = uses.flatMap(({ node }) =>
    isOp(node, "Equal") ? node.inputs.flatMap((input) => input?.contents ?? []) : [],
  );
  return numbers.find((number) => typeof number === "number");
}
