import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { identityOf } from "../../graph-builder/index.ts";
import type { Tensor } from "../../graph-builder/tensor.ts";
import type { Device } from "../device/device.ts";
import type { ReadArtifacts } from "./lowered-models.ts";

/** What compiled models depend on, beside the compiler: equal ingredients give equal models. */
export interface Ingredients {
  /** Everything that is no file. */
  readonly text: string;
  /** The files, always in the same order; undefined where there is none. */
  readonly files: readonly (Uint8Array | undefined)[];
}

/** Keeps compiled models for the next session of the same artifacts. */
export interface CompileCache {
  /**
   * What `compile` returned for equal ingredients before, or else what it returns now: objects, lists and
   * maps of numbers, texts, bytes, null, and dimensions of types. Throws what `compile` throws.
   */
  remember<T>(ingredients: Ingredients, compile: () => T): Promise<T>;
}

/** What of artifacts is compiled, and where it is kept. */
interface Compiling {
  readonly cache: CompileCache | undefined;
  /** The kind of the result: several may be compiled from the same artifacts. */
  readonly kind: string;
  /** The other settings that the result depends on, as JSON has them. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * What `compile` makes of artifacts for a device, or what the cache has of it. A lowering that `loweringOf`
 * did not make is not kept: nothing tells its rules apart. Throws what `compile` throws.
 */
export async function compiled<T>(
  { files, checkpoint }: ReadArtifacts,
  { name, lowering, ort }: Pick<Device, "name" | "lowering" | "ort">,
  { cache, kind, settings }: Compiling,
  compile: () => T,
): Promise<T> {
  const identity = identityOf(lowering);
  if (!cache || identity === undefined) return compile();
  const { versions } = ort.env;
  const facts = {
    kind,
    settings,
    device: name,
    lowering: identity,
    versions,
    tensors: tensorsOf(checkpoint),
  };
  const { trainingModel, evalModel, optimizerModel } = files;
  return cache.remember(
    { text: JSON.stringify(facts), files: [trainingModel, evalModel, optimizerModel] },
    compile,
  );
}

/** What the models' bindings, and the checks that files belong together, read of a checkpoint. */
function tensorsOf({ trainable, frozen, optimizer }: Checkpoint): unknown {
  const momenta = [...(optimizer?.momenta ?? [])];
  return {
    trainable: [...trainable].map(typeOf),
    frozen: [...frozen].map(typeOf),
    momenta: momenta.map(([name, moments]) => moments.map((moment) => typeOf([name, moment]))),
  };
}

function typeOf([name, { elemType, dims }]: readonly [string, Tensor]): unknown {
  return [name, elemType, dims];
}
