import type { Builder } from "../../builder.ts";
import { castLike, floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";

/**
 * The derivative of a product with respect to a factor is the product of the others, which stays right where
 * factors are 0: it is found from the product of the factors that are not 0, and the number of those that
 * are.
 */
export const otherFactors = {
  /** The factors with 1 in place of 0. */
  nonZero(g: Builder, factors: Value): Value {
    return g.Where(g.Equal(factors, floatLike(g, factors, 0)), floatLike(g, factors, 1), factors);
  },
  /** 1 where a factor is 0, else 0. */
  isZero(g: Builder, factors: Value): Value {
    return castLike(g, g.Equal(factors, floatLike(g, factors, 0)), factors);
  },
  /** The product of the other factors, from the product of those that are not 0 and the number of zeros. */
  of(g: Builder, factors: Value, product: Value, zeros: Value): Value {
    const [zero, one] = [floatLike(g, factors, 0), floatLike(g, factors, 1)];
    const atZero = g.Where(g.Equal(zeros, one), product, zero);
    const elsewhere = g.Where(g.Equal(zeros, zero), g.Div(product, otherFactors.nonZero(g, factors)), zero);
    return g.Where(g.Equal(factors, zero), atZero, elsewhere);
  },
};
