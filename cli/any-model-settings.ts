import { z } from "zod";
import { lossNames } from "../artifacts/loss-names.ts";

const text = z.string().min(1);
const texts = z.array(text).min(1).optional();

/** The settings of training artifacts that are made of somebody's model. */
export const anyModelSettings = {
  from: text.optional().describe("ONNX model to train, of any program"),
  trainable: texts.describe(
    "parameters to train: all, head, names, or globs with * and ?; !GLOB takes out again [default: all]",
  ),
  lora: z
    .int()
    .min(1)
    .optional()
    .describe("train low-rank adapters of this rank in place of the weights of MatMul, Gemm and Conv"),
  loraAlpha: z
    .number()
    .positive()
    .optional()
    .describe("factor of the adapters, over the rank [default: --lora]"),
  loraTargets: texts.describe("weights with adapters, by globs of them or of their nodes [default: all]"),
  loss: texts.describe(
    `what training minimises: ${lossNames.join(", ")}, or output:NAME for an output that is the loss; several are added, such as cross-entropy:logits 0.4*mse:box`,
  ),
  lossInput: text
    .optional()
    .describe("output of the model, or value inside it, that the loss reads [default: the only output]"),
  classWeights: z
    .array(z.number().min(0))
    .min(1)
    .optional()
    .describe("weight of each class in cross-entropy [default: 1]"),
  ignoreIndex: z
    .int()
    .optional()
    .describe("labels of this value do not count in cross-entropy [default: -100]"),
  softLabels: z
    .boolean()
    .optional()
    .describe("labels of cross-entropy are the shares of all classes, as --mixup and --cutmix of train need"),
  positiveWeights: z
    .array(z.number().min(0))
    .min(1)
    .optional()
    .describe("weight of positive targets in bce-with-logits, one or one for each entry [default: 1]"),
  reduction: z
    .enum(["mean", "sum"])
    .optional()
    .describe("how the losses of a batch are joined [default: mean]"),
  betas: z
    .array(z.number().min(0).lt(1))
    .length(2)
    .optional()
    .describe("decay of AdamW's two moments [default: 0.9 0.999]"),
  epsilon: z.number().positive().optional().describe("epsilon of AdamW [default: 1e-8]"),
  groups: texts.describe(
    'settings of some parameters, such as "*.bias:weight-decay=0" "features.*:learning-rate=0.1"; learning rates are factors',
  ),
  bodyRate: z
    .number()
    .min(0)
    .optional()
    .describe("factor of the learning rate of all layers but the last [default: 1; 0.01 for train --init]"),
  clipValue: z
    .number()
    .positive()
    .optional()
    .describe("elements of gradients beyond this absolute value are set to it [default: no limit]"),
  additionalOutputs: texts.describe(
    "outputs of the model, or values inside it, that a training step returns beside the loss",
  ),
} as const;
