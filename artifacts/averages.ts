import type { Tensor } from "../graph-builder/tensor.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** The checkpoint's property that holds what the names of averages end with. */
const ENDING = "average_ending";

/** A training's own state, and the averages that it keeps by the names of their tensors. */
export interface AveragedState {
  readonly checkpoint: Checkpoint;
  readonly averages: ReadonlyMap<string, Tensor>;
}

/**
 * Separates the averages of a checkpoint from the other tensors. There are none where no training made any.
 */
export function splitAverages(checkpoint: Checkpoint): AveragedState {
  const { properties, frozen } = checkpoint;
  const ending = properties.get(ENDING);
  if (typeof ending !== "string") return { checkpoint, averages: new Map() };
  const own = [...frozen].filter(([name]) => !name.endsWith(ending));
  const averages = [...frozen].flatMap(([name, tensor]): [string, Tensor][] =>
    name.endsWith(ending) ? [[name.slice(0, -ending.length), tensor]] : [],
  );
  const others = [...properties].filter(([name]) => name !== ENDING);
  return {
    checkpoint: { ...checkpoint, frozen: new Map(own), properties: new Map(others) },
    averages: new Map(averages),
  };
}

/**
 * Puts averages into a checkpoint, as frozen tensors with the name of their tensor and `.average`; with a
 * number where another tensor's name ends so.
 */
export function joinAverages({ checkpoint, averages }: AveragedState): Checkpoint {
  if (averages.size === 0) return checkpoint;
  const { trainable, frozen, properties } = checkpoint;
  const names = [...trainable.keys(), ...frozen.keys()];
  let ending = ".average";
  for (let i = 2; names.some((name) => name.endsWith(ending)); i++) ending = `.average_${i}`;
  const named = [...averages].map(([name, tensor]): [string, Tensor] => [`${name}${ending}`, tensor]);
  return {
    ...checkpoint,
    frozen: new Map([...frozen, ...named]),
    properties: new Map([...properties, [ENDING, ending]]),
  };
}

/**
 * The checkpoint that is evaluated and exported: each tensor with an average has the average's values. A
 * checkpoint without averages is returned as it is.
 */
export function averagedCheckpoint(given: Checkpoint): Checkpoint {
  const { checkpoint, averages } = splitAverages(given);
  if (averages.size === 0) return given;
  const averaged = (tensors: ReadonlyMap<string, Tensor>) =>
    new Map([...tensors].map(([name, tensor]) => [name, averages.get(name) ?? tensor]));
  const { trainable, frozen } = checkpoint;
  return { ...checkpoint, trainable: averaged(trainable), frozen: averaged(frozen) };
}
