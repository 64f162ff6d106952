/** The files beside the built page, by paths relative to it. The build writes this object into the page. */
export interface Assets {
  readonly onnxruntime: {
    /** ONNX Runtime's JavaScript module that loads the WebAssembly. */
    readonly module: string;
    /** The WebAssembly, compressed with gzip for hosts that do not compress. */
    readonly wasm: string;
    /** The size of the compressed file. */
    readonly bytes: number;
  };
  /** The run whose network the page opens first. */
  readonly model?: {
    readonly run: string;
    readonly onnx: string;
    readonly checkpoint: string;
    /** Test pictures in CIFAR-10's binary format; undefined for `shapes`, which the page draws. */
    readonly examples?: { readonly data: string; readonly path: string } | undefined;
  };
}
