import { basename, resolve } from "node:path";
import { UserError } from "../../graph-builder/errors.ts";
import { finishedRun } from "../../runtime/node/run/run-directory.ts";
import type { ExampleAssets } from "../assets.ts";
import { drawings } from "./drawings.ts";
import { testPictures } from "./test-pictures.ts";

/** A network that the page opens first, and pictures for it. */
export interface SiteModel {
  /** The name that the page shows. */
  readonly name: string;
  /** The path of the .onnx file. */
  readonly onnx: string;
  /** The path of the checkpoint that it was frozen from. */
  readonly checkpoint: string;
  readonly examples?: SiteExamples | undefined;
}

/** Pictures of a data set: a file of them, and its kind. */
export interface SiteExamples {
  readonly data: string;
  readonly kind: ExampleAssets["kind"];
  readonly bytes: Uint8Array;
}

/** The network of a run. Throws UserError where the folder holds no finished run. */
export async function modelOfRun(path: string): Promise<SiteModel> {
  const run = await finishedRun(path);
  if (run === undefined) {
    throw new UserError(
      `${path} is not the folder of a finished run: it lacks model.onnx or checkpoints/last.`,
      { code: "run-missing", details: { path } },
    );
  }
  const name = `${basename(resolve(path))}/model.onnx`;
  const pictures = await testPictures(path);
  const examples = pictures && {
    data: pictures.data,
    kind: "test-pictures" as const,
    bytes: pictures.records,
  };
  return { name, onnx: run.model, checkpoint: run.checkpoint, examples };
}

/** The network of CIFAR-10 that the package has, with drawings of its classes. */
export async function packagedModel(): Promise<SiteModel> {
  const bytes = new TextEncoder().encode(JSON.stringify(await drawings()));
  return {
    name: "cifar10.onnx",
    onnx: "models/cifar10.onnx",
    checkpoint: "models/cifar10.checkpoint",
    examples: { data: "cifar10", kind: "drawings", bytes },
  };
}
