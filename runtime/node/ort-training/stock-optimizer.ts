import { decodeModel, UserError } from "../../../graph-builder/index.ts";

/** The operators of ONNX Runtime's own optimizer models. */
const stockOptimizers = ["SGDOptimizerV2", "AdamWOptimizer"] as const;
export type StockOptimizer = (typeof stockOptimizers)[number];

/** The operator of an optimizer model. Throws UserError where it is none of ONNX Runtime's own. */
export function stockOptimizer(model: Uint8Array): StockOptimizer {
  const { nodes } = decodeModel(model, "optimizer_model.onnx").graph;
  const found = stockOptimizers.find((name) => nodes.some(({ opType }) => opType === name));
  if (found) return found;
  throw new UserError(
    `optimizer_model.onnx holds no optimizer of ONNX Runtime (${stockOptimizers.join(", ")}): build the artifacts with --fused.`,
    { code: "model-unsupported", details: { where: "optimizer_model.onnx", operators: stockOptimizers } },
  );
}
