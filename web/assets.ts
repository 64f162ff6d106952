/** A drawn picture of a class. */
export interface Drawing {
  readonly className: string;
  readonly svg: string;
}

/** Pictures that the page shows beside a model of a data set. */
export interface ExampleAssets {
  readonly data: string;
  readonly path: string;
  /** Test pictures in CIFAR-10's binary format, or a list of `Drawing` as JSON. */
  readonly kind: "test-pictures" | "drawings";
}

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
  /** The network that the page opens first. */
  readonly model?: {
    /** The name that the page shows, such as `8-2x16d-shapes-s1/model.onnx`. */
    readonly name: string;
    readonly onnx: string;
    readonly checkpoint: string;
    /** Undefined for `shapes`, which the page draws. */
    readonly examples?: ExampleAssets | undefined;
  };
}
