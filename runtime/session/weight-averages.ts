import type { Binding } from "../../graph-builder/bindings.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { Tensor } from "../../graph-builder/tensor.ts";
import { shown } from "../../graph-builder/visible.ts";

/** How the averages of the weights follow the weights after a step. */
export interface AverageStep {
  /** The share of the old average in the new one, from 0 to 1. */
  readonly decay: number;
  /** Whether the weights then become their averages, as those of a lookahead optimizer do. */
  readonly pull: boolean;
}

/** Throws UserError for an average's step whose decay is no number from 0 to 1. */
export function expectAverageStep(step: AverageStep): void {
  const given: unknown = step;
  const decay = typeof given === "object" && given !== null && "decay" in given ? given.decay : given;
  if (typeof decay === "number" && decay >= 0 && decay <= 1) return;
  throw new UserError(`The decay of an average must be a number from 0 to 1, not ${shown(decay)}.`, {
    code: "setting-invalid",
    details: { setting: "decay", value: decay },
  });
}

/** The tensors of a training graph that averages are kept of: its parameters and running statistics. */
export function averagedNames(bindings: readonly Binding[]): string[] {
  return bindings.flatMap(({ role, input }) =>
    input !== undefined && (role === "parameter" || role === "statistic") ? input : [],
  );
}

/** Running averages of tensors, in float32 on the host. */
export class WeightAverages {
  readonly #averages: Map<string, Tensor>;

  /** Goes on from averages, whose data are copied. */
  constructor(averages: ReadonlyMap<string, Tensor>) {
    this.#averages = new Map([...averages].map(([name, tensor]) => [name, copyOf(tensor)]));
  }

  /** The averages by the names of their tensors, shared until the next `follow`. */
  get tensors(): ReadonlyMap<string, Tensor> {
    return this.#averages;
  }

  /**
   * Moves the average of each float tensor towards it: a' = decay a + (1 - decay) w. A tensor without an
   * average gets a copy of itself. With `pull`, the averages are then written into the tensors' data.
   */
  follow(tensors: Iterable<readonly [string, Tensor]>, { decay, pull }: AverageStep): void {
    for (const [name, tensor] of tensors) {
      const { data } = tensor;
      if (!(data instanceof Float32Array)) continue;
      const average = this.#averages.get(name)?.data;
      if (!(average instanceof Float32Array)) {
        this.#averages.set(name, copyOf(tensor));
        continue;
      }
      for (let i = 0; i < data.length; i++) {
        const old = average[i] ?? 0;
        average[i] = old + (1 - decay) * ((data[i] ?? 0) - old);
      }
      if (pull) data.set(average);
    }
  }
}

function copyOf({ elemType, dims, data }: Tensor): Tensor {
  return new Tensor(elemType, dims, data.slice());
}
