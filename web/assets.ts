/** What lies beside the built page; paths are relative to it. Written into the page when it is built. */
export interface Assets {
  readonly onnxruntime: {
    /** The glue that ONNX Runtime imports. */
    readonly module: string;
    /** The WebAssembly, compressed with gzip, for hosts that compress nothing. */
    readonly wasm: string;
    /** Of the compressed file. */
    readonly bytes: number;
  };
  /** The run whose network is shown first. */
  readonly model?: {
    readonly run: string;
    readonly onnx: string;
    readonly checkpoint: string;
    /** Test pictures of the run's data set in CIFAR-10's binary format, where the page cannot draw them. */
    readonly examples?: { readonly data: string; readonly path: string } | undefined;
  };
}
