import { z } from "zod";

const count = z.int().min(1);

/** How a model is fed pictures and labels, and where its scores come out. */
export const feedingSchema = z.object({
  input: z.string(),
  type: z.enum(["float32", "uint8"]),
  layout: z.enum(["nchw", "nhwc"]),
  channels: count,
  height: count,
  width: count,
  /** The fixed number of pictures of a step. */
  batch: count.optional(),
  pixels: z.string(),
  labels: z.string(),
  /** Whether labels are the shares of all classes. */
  softLabels: z.boolean().optional(),
  scores: z.string(),
  classes: count,
});
export type Feeding = z.infer<typeof feedingSchema>;
