import { FATAL, type WasmModule } from "./wasm-module.ts";

/** The handles of the objects inside the module. */
export interface Handles {
  readonly checkpoint: number;
  readonly session: number;
  readonly runOptions: number;
}

/** The inputs of a model that are no state, and its outputs, in ONNX Runtime's order. */
export interface ModelNames {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Opens a checkpoint and a session of its training, eval and optimizer model. */
export function openHandles(
  wasm: WasmModule,
  checkpoint: Uint8Array,
  models: readonly (Uint8Array | undefined)[],
): Handles {
  const [optimizeAll, sequentially, zero] = [99, 0, 0];
  const options = wasm.create(
    "_OrtCreateSessionOptions",
    optimizeAll,
    true, // an arena for memory
    true, // patterns of memory
    sequentially,
    false, // no profile
    zero,
    zero,
    FATAL,
    zero,
    zero,
  );
  const files = [checkpoint, ...models].map((file) => (file ? [wasm.store(file), file.byteLength] : [0, 0]));
  const [checkpointFile = [], ...modelFiles] = files;
  try {
    const state = wasm.create("_OrtTrainingLoadCheckpoint", ...checkpointFile);
    const session = wasm.create("_OrtTrainingCreateSession", options, state, ...modelFiles.flat());
    return {
      checkpoint: state,
      session,
      runOptions: wasm.create("_OrtCreateRunOptions", FATAL, zero, false, zero),
    };
  } finally {
    for (const [pointer = 0] of files) wasm.free(pointer);
    wasm.call("_OrtReleaseSessionOptions", options);
  }
}

/** The names of the inputs and outputs of the training or the eval model. */
export function modelNames(wasm: WasmModule, session: number, isEval: boolean): ModelNames {
  const [inputs = 0, outputs = 0] = wasm.words(2, (place) =>
    wasm.check("_OrtTrainingGetModelInputOutputCount", session, place(0), place(1), isEval),
  );
  const names = (count: number, isInput: boolean) =>
    Array.from({ length: count }, (_, i) => {
      const pointer = wasm.create("_OrtTrainingGetModelInputOutputName", session, i, isInput, isEval);
      const name = wasm.text(pointer);
      wasm.free(pointer);
      return name;
    });
  return { inputs: names(inputs, true), outputs: names(outputs, false) };
}
