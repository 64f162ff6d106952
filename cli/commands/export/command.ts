import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "source",
  "out",
  "checkpoint",
  "endAt",
  "adapters",
  "Model",
  "data",
  "dataDir",
  "testLimit",
  "device",
  "threads",
  "config",
  "json",
] as const;

/** `shake export`: a run, a checkpoint or trained artifacts as one plain .onnx. */
export const exportCommand: Command<(typeof settings)[number]> = {
  name: "export",
  summary: "write a run or a checkpoint as one plain .onnx model",
  help: "Writes the trained network as one .onnx model of standard operators, which any ONNX runtime loads. A model that came from a file keeps the file's form: its inputs, outputs, opset and metadata.",
  settings,
  positional: "source",
  load: () => import("./run.ts"),
};

export type ExportGiven = GivenOf<typeof exportCommand>;
