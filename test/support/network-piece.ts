import {
  appendGradients,
  at,
  type Builder,
  createBuilder,
  Graph,
  type Tensor,
  type Value,
} from "../../graph-builder/index.ts";
import { apart, type Input, normal, positive } from "./random-tensor.ts";

/** Values of a piece by the names of its inputs. */
export type Values = Readonly<Record<string, Value>>;

/** A piece of a network behind a convolution, for tests that compare two lowerings of it. */
export interface NetworkPiece {
  readonly title: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly build: (g: Builder, X: Value, values: Values) => readonly Value[];
}

/** The scale, the shift and the running statistics of a batch normalisation. */
export function batchNormInputs(channels: number) {
  return {
    scale: normal([channels]),
    bias: normal([channels]),
    mean: normal([channels]),
    variance: positive([channels]),
  };
}

/** Convolves with filters that are an input of the piece. */
export function conv(g: Builder, X: Value, W: Value | undefined, attributes: object): Value {
  return g.Conv(X, W ?? X, attributes);
}

/**
 * The piece behind a pointwise convolution of images [batch, channels, height, width], its outputs and the
 * gradients of all inputs that vary.
 */
export function pieceGraph(
  { inputs, build }: NetworkPiece,
  [channels, height, width]: readonly [number, number, number],
): { graph: Graph; feeds: Record<string, Tensor> } {
  const given: Readonly<Record<string, Input>> = {
    X: apart(["batch", channels, height, width]),
    first: normal([channels, channels, 1, 1]),
    ...inputs,
  };
  const g = createBuilder(new Graph("piece"));
  const values = Object.entries(given).map(([name, { shape, tensor }]) =>
    g.input(name, tensor.elemType, shape),
  );
  const named = Object.fromEntries(Object.keys(given).map((name, i) => [name, at(values, i)]));
  const outputs = build(g, g.Conv(at(values, 0), at(values, 1)), named);
  const Y = at(outputs, 0);
  const loss = g.ReduceSum(g.Mul(Y, g.Sigmoid(Y)), null, { keepdims: 0 });
  loss.name = "loss";
  const varying = values.filter(({ name = "" }) => !["mean", "variance", "alpha"].includes(name));
  const gradients = appendGradients(g, loss, varying);
  for (const [i, output] of outputs.entries()) g.output(output, `y${i}`);
  for (const [i, gradient] of gradients.entries()) g.output(g.Identity(gradient), `d_${at(varying, i).name}`);
  const feeds = Object.fromEntries(Object.entries(given).map(([name, { tensor }]) => [name, tensor]));
  return { graph: g.graph, feeds };
}
