/** The forms of a frozen network's input and output. */
export const inputForms = ["float32-nchw", "uint8-nhwc"] as const;
export const outputForms = ["logits", "probabilities"] as const;

/** The inputs, outputs and precision of a frozen network. */
export interface InferenceForm {
  /** Raw pixels 0..255 as float [batch, channels, side, side] or as uint8 [batch, side, side, channels]. */
  readonly input: (typeof inputForms)[number];
  readonly output: (typeof outputForms)[number];
  /** A fixed number of images per run, or any number. */
  readonly batch: number | "dynamic";
  /** The element type of the weights and of the computation between input and output. */
  readonly precision: "float32" | "float16";
  /**
   * Keeps the weight of branch 1 in every block as an input `alpha` float [blocks] (0.5: the trained
   * network); the branches then stay apart.
   */
  readonly alphaInput: boolean;
}

/** Float pixels in, logits out, any number of images, float32. */
export const defaultForm: InferenceForm = {
  input: "float32-nchw",
  output: "logits",
  batch: "dynamic",
  precision: "float32",
  alphaInput: false,
};
