import type { Builder } from "../builder.ts";
import { floatLike } from "../composites.ts";
import type { Value } from "../ir.ts";
import type { Expansion } from "./expansion.ts";

/** Y = alpha op(A) op(B), where op transposes a factor or moves its first axis. */
export const fusedMatMul: Expansion<"FusedMatMul"> = (g, { I, attributes }) => {
  const { alpha, transA, transB, transBatchA, transBatchB } = attributes;
  const product = g.MatMul(turned(g, I(0), transA, transBatchA), turned(g, I(1), transB, transBatchB));
  return [alpha === 1 ? product : g.Mul(product, floatLike(g, product, alpha))];
};

/**
 * Transposes a factor: `batchTransposed` moves the first axis behind the batch axes, and `transposed`
 * exchanges the last two axes.
 */
function turned(g: Builder, value: Value, transposed: number, batchTransposed: number): Value {
  const axes = value.shape.map((_, i) => i);
  const batched = batchTransposed ? [...axes.slice(1, -1), 0, ...axes.slice(-1)] : axes;
  const perm = transposed ? [...batched.slice(0, -2), ...batched.slice(-2).reverse()] : batched;
  return perm.every((axis, i) => axis === i) ? value : g.Transpose(value, { perm });
}
