import type { Builder } from "../../builder.ts";
import { floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";

/**
 * The gradient of an operator that only moves, drops or repeats elements, where only a run tells which: the
 * operator moves the numbers of X's elements in the same way, and dY is added at those numbers.
 */
export function movedBack(g: Builder, X: Value, dY: Value, move: (places: Value) => Value): Value {
  const size = g.Size(X);
  const everything = g.int64([-1]);
  const places = g.Reshape(g.Range(g.int64(0), size, g.int64(1)), g.Shape(X));
  const zeros = g.Expand(floatLike(g, dY, 0), g.Reshape(size, g.int64([1])));
  const [indices, updates] = [g.Reshape(move(places), everything), g.Reshape(dY, everything)];
  const sum = g.ScatterElements(zeros, indices, updates, { axis: 0, reduction: "add" });
  return g.Reshape(sum, g.Shape(X));
}
