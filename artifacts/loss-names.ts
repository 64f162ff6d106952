/** The losses that have a name. Their definitions are PyTorch's. */
export const lossNames = ["cross-entropy", "mse", "l1", "bce-with-logits"] as const;
export type LossName = (typeof lossNames)[number];
