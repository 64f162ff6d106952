import { z } from "zod";

/** How a model is fed pictures and labels, and where its scores come out. */
export const feedingSchema = z.object({
  input: z.string(),
  type: z.enum(["float32", "uint8"]),
  layout: z.enum(["nchw", "nhwc"]),
  channels: z.int(),
  height: z.int(),
  width: z.int(),
  /** The fixed number of pictures of a step. */
  batch: z.int().optional(),
  pixels: z.string(),
  labels: z.string(),
  scores: z.string(),
  classes: z.int(),
});
export type Feeding = z.infer<typeof feedingSchema>;
