import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "Any model",
  "Network",
  "data",
  "imageSize",
  "channels",
  "valSplit",
  "splitSeed",
  "classMap",
  "optimizer",
  "learningRate",
  "momentum",
  "sgdRate",
  "sgdDecay",
  "weightDecay",
  "normDecay",
  "biasRate",
  "clipNorm",
  "labelSmoothing",
  "regularization",
  "survival",
  "seed",
  "target",
  "fused",
  "chunk",
  "out",
  "config",
] as const;

/** `shake build-graph`: writes ONNX Runtime's training artifacts of a network, or of any ONNX model. */
export const buildGraphCommand: Command<(typeof settings)[number]> = {
  name: "build-graph",
  summary: "compile a network or any ONNX model into training artifacts",
  help: "Writes training_model.onnx, eval_model.onnx, optimizer_model.onnx, checkpoint and manifest.json into a folder.\nWithout --from, the network is ShakeNet or what --network says. With --from MODEL.onnx it is that model, which needs --loss; source.onnx keeps the rest of its file for the export.",
  settings,
  settingHelp: {
    classes: "number of classes [default: that of the data set]",
    data: "name of a data set, or pictures of one's own, whose classes and, for ShakeNet, size and statistics the model gets",
    optimizer: "update rule [default: sgd-nesterov; with --from adamw]",
    learningRate: "learning rate that a session of a --from model starts with [default: 0.001]",
    momentum: "momentum of sgd-nesterov, sgd-momentum and muon [default: 0.9; with --from PyTorch's]",
    weightDecay: "weight decay [default: 1e-4; with --from PyTorch's: 0.01 for adamw, 0.1 for muon, else 0]",
  },
  load: () => import("./run.ts"),
};

export type BuildGraphGiven = GivenOf<typeof buildGraphCommand>;
