import { hasGraph, shown } from "../graph-builder/index.ts";
import { invalid } from "./given-values.ts";

/** Throws UserError for what is neither the bytes of a model, nor a Model, nor a Graph. */
export function expectModel(what: string, given: unknown): void {
  if (given instanceof Uint8Array || hasGraph(given)) return;
  throw invalid(
    "model",
    `${what} takes the bytes of an ONNX file (Uint8Array), a Model or a Graph, not ${shown(given)}.`,
  );
}
