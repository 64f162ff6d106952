import { createHash } from "node:crypto";
import { cp, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../../artifacts/index.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { readManifest, readTrainingArtifacts } from "../../runtime/node/index.ts";
import { makePictureScenarios } from "./picture-scenarios.ts";
import { type Disturbance, sentenceOf, shake } from "./shake.ts";
import type { Outcome } from "./tally.ts";

const training = "--width 2 --train-limit 32 --test-limit 16 --epochs 2 --batch-size 16 --threads 1";
const trainFlags = [...training.split(" "), "--checkpoint-every-steps", "1"];
const buildFlags = ["build-graph", "--width", "2", "--momentum"];

/** A command that changes files, and what must hold after it was cut. */
export interface Scenario {
  readonly name: string;
  readonly command: readonly string[];
  /** Makes what is there before the command. */
  readonly prepare: (folder: string) => Promise<void>;
  /** What came of a command that was cut in a folder. */
  readonly judge: (folder: string) => Promise<Outcome>;
}

/** Makes the scenarios; their right results lie in `reference`. */
export async function makeScenarios(reference: string): Promise<Scenario[]> {
  for (const args of [
    ["train", ...trainFlags, "--run-dir", "run"],
    [...buildFlags, "0.5", "--out", "old"],
    [...buildFlags, "0.9", "--out", "new"],
    ["export", "old/checkpoint", "--out", "old.onnx"],
    ["export", "run", "--out", "new.onnx"],
  ]) {
    const { code, stderr } = await shake(reference, args);
    if (code !== 0) throw new Error(`shake ${args.join(" ")} ended with ${code}: ${stderr}`);
  }
  const own = await makePictureScenarios(reference);
  return [trainScenario(reference), buildScenario(reference), exportScenario(reference), ...own];
}

function trainScenario(reference: string): Scenario {
  const command = ["train", ...trainFlags, "--run-dir", "run"];
  return {
    name: "train",
    command,
    prepare: async () => {},
    async judge(folder) {
      const isMade = (await readdir(folder)).includes("run");
      const ended = await shake(folder, isMade ? ["train", "--resume", "run"] : command);
      if (ended.isHanging) return "hang";
      if (ended.code !== 0) return "lost";
      const [is, should] = await Promise.all([folder, reference].map((each) => runDigest(join(each, "run"))));
      if (is !== should) return "silently other";
      return leftoversIn(folder);
    },
  };
}

/**
 * Everything that a run decides, without what the clock says. Throws Error where metrics.csv does not have
 * the epochs of metrics.jsonl.
 */
export async function runDigest(run: string): Promise<string> {
  const hash = createHash("sha256");
  for (const file of ["model.onnx", "checkpoints/last", "checkpoints/best"])
    hash.update(await readFile(join(run, file)));
  const metrics = await readFile(join(run, "metrics.jsonl"), "utf8");
  const rows = (await readFile(join(run, "metrics.csv"), "utf8")).trim().split("\n").slice(1);
  const records = metrics
    .trim()
    .split("\n")
    .map((line) => Object.values(JSON.parse(line)).join(","));
  if (rows.join("\n") !== records.join("\n")) throw new Error("metrics.csv and metrics.jsonl differ");
  return hash.update(metrics.replaceAll(/"(seconds|images_per_second)":[^,}]*/g, "")).digest("hex");
}

function buildScenario(reference: string): Scenario {
  const command = [...buildFlags, "0.9", "--out", "art"];
  return {
    name: "build-graph over an older folder",
    command,
    prepare: (folder) => cp(join(reference, "old"), join(folder, "art"), { recursive: true }),
    async judge(folder) {
      const [old, replaced] = await Promise.all([
        artifactsDigest(join(reference, "old")),
        artifactsDigest(join(reference, "new")),
      ]);
      const found = await artifactsDigest(join(folder, "art")).catch((error: unknown) => {
        if (error instanceof UserError) return undefined;
        throw error;
      });
      if (found !== undefined && found !== old && found !== replaced) return "silently other";
      if ((await shake(folder, command)).code !== 0) return "lost";
      if ((await artifactsDigest(join(folder, "art"))) !== replaced) return "lost";
      const clean = await leftoversIn(folder);
      return clean === "right" && found === undefined ? "a sentence" : clean;
    },
  };
}

async function artifactsDigest(folder: string): Promise<string> {
  const manifest = await readManifest(folder, (each): each is Manifest => each.format === 1);
  const hash = createHash("sha256").update(JSON.stringify(manifest));
  for (const bytes of Object.values(await readTrainingArtifacts(folder))) if (bytes) hash.update(bytes);
  return hash.digest("hex");
}

function exportScenario(reference: string): Scenario {
  const command = ["export", join(reference, "run"), "--out", "model.onnx"];
  return {
    name: "export over an older file",
    command,
    prepare: (folder) => cp(join(reference, "old.onnx"), join(folder, "model.onnx")),
    async judge(folder) {
      const [old, replaced, found] = await Promise.all(
        [join(reference, "old.onnx"), join(reference, "new.onnx"), join(folder, "model.onnx")].map((path) =>
          readFile(path, "base64"),
        ),
      );
      if (found !== old && found !== replaced) return "lost";
      if ((await shake(folder, command)).code !== 0) return "lost";
      if ((await readFile(join(folder, "model.onnx"), "base64")) !== replaced) return "silently other";
      return leftoversIn(folder);
    },
  };
}

export async function leftoversIn(folder: string): Promise<Outcome> {
  const names = await readdir(folder, { recursive: true });
  return names.some((name) => /(^|\/)\.[^/]*(\.tmp|lock)(\/|$)/.test(name)) ? "left behind" : "right";
}

/** Whether a command that met a failing system call said so in one sentence. */
export async function refusalOf(
  folder: string,
  { command }: Scenario,
  disturbance: Disturbance,
): Promise<Outcome> {
  const ended = await shake(folder, command, disturbance);
  if (ended.isHanging) return "hang";
  // a call whose failure does no harm, such as the flush of a folder
  if (ended.code === 0) return "right";
  if (ended.code === null) return "crash";
  return sentenceOf(ended) === undefined ? "stack trace" : "a sentence";
}
