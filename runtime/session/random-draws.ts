import type * as Ort from "onnxruntime-common";
import type { Property } from "../../artifacts/checkpoint.ts";
import { randomProperties, randomStateOf } from "../../artifacts/random-state.ts";
import { type Binding, isRandom } from "../../graph-builder/bindings.ts";

/** Counts the steps of a training model that draws random numbers, and feeds the seed and the count. */
export class RandomDraws {
  readonly #isDrawn: boolean;
  readonly seed: bigint;
  /** The number of the next draw. */
  step: bigint;

  /** Goes on from the properties of a checkpoint; `bindings` are those of the training model. */
  constructor(properties: ReadonlyMap<string, Property>, bindings: readonly Binding[]) {
    this.#isDrawn = bindings.some(isRandom);
    const { seed, step } = randomStateOf(properties);
    this.seed = seed;
    this.step = step;
  }

  /** The seed and the number of the next draw as the training model takes them. */
  controls({ Tensor }: Pick<typeof Ort, "Tensor">): Record<"random-seed" | "random-step", Ort.Tensor> {
    return {
      "random-seed": new Tensor("int64", [this.seed], [1]),
      "random-step": new Tensor("int64", [this.step], [1]),
    };
  }

  /** What a checkpoint keeps; nothing where the training model draws no numbers. */
  properties(): readonly (readonly [string, bigint])[] {
    return this.#isDrawn ? randomProperties(this) : [];
  }
}
