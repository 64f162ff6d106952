import { fork } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { Dice } from "./dice.ts";
import { mutated } from "./mutate.ts";
import type { Report } from "./mutation-worker.ts";
import { writePictures } from "./picture-formats.ts";
import { eachOf } from "./pool.ts";
import { sentenceOf, shake } from "./shake.ts";
import type { Outcome, Tally } from "./tally.ts";

const worker = fileURLToPath(new URL("./mutation-worker.js", import.meta.url));
const LONGEST_MS = 120_000;

/**
 * Reads damaged files of every format: most in a process of readers, one of 250 through the command line.
 * The reference run and artifacts lie in `folder/reference`.
 */
export async function mutationCampaign(
  folder: string,
  count: number,
  seed: number,
  tally: Tally,
): Promise<void> {
  const noise = sharp({ create: { width: 40, height: 30, channels: 3, background: "teal" } });
  await noise.clone().png().toFile(join(folder, "picture.png"));
  await noise.clone().jpeg().toFile(join(folder, "picture.jpg"));
  await writePictures(folder);
  const half = Math.ceil(count / 2);
  await Promise.all([readAll(folder, seed, 0, half, tally), readAll(folder, seed, half, count, tally)]);
  await throughCommandLine(folder, Math.ceil(count / 250), seed, tally);
}

/** Runs trials in a process; goes on in a new one after a trial that ended or blocked it. */
async function readAll(
  folder: string,
  seed: number,
  first: number,
  last: number,
  tally: Tally,
): Promise<void> {
  for (let next = first; next < last; ) next = await readUntilFailure(folder, seed, next, last, tally);
}

function readUntilFailure(
  folder: string,
  seed: number,
  first: number,
  last: number,
  tally: Tally,
): Promise<number> {
  const child = fork(worker, [folder, String(seed), String(first), String(last)]);
  let current: Report | undefined;
  let isHanging = false;
  const stop = () => {
    isHanging = true;
    child.kill("SIGKILL");
  };
  let watch = setTimeout(stop, LONGEST_MS);
  child.on("message", (report: Report) => {
    clearTimeout(watch);
    watch = setTimeout(stop, LONGEST_MS);
    const { trial, kind, outcome, what = "" } = report;
    current = outcome === undefined ? report : undefined;
    if (outcome !== undefined) tally.add(kind, outcome, `seed ${seed}, trial ${trial} ${what}`);
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code) => {
      clearTimeout(watch);
      if (current) {
        const { trial, kind } = current;
        tally.add(kind, isHanging ? "hang" : "crash", `seed ${seed}, trial ${trial}, exit code ${code}`);
        resolve(trial + 1);
      } else if (code === 0) resolve(last);
      else reject(new Error(`the readers ended with ${code}`));
    });
  });
}

const trainFlags = "--width 2 --train-limit 32 --test-limit 16 --epochs 1 --threads 1".split(" ");

/** A command that reads a file of a copy of the reference, and the file. */
const commands: readonly {
  readonly file: string;
  readonly isText: boolean;
  readonly args: readonly string[];
}[] = [
  { file: "run/model.onnx", isText: false, args: ["inspect", "run/model.onnx"] },
  { file: "run/model.onnx", isText: false, args: ["predict", "--model", "run/model.onnx", "picture.png"] },
  { file: "run/checkpoints/last", isText: false, args: ["train", "--resume", "run"] },
  { file: "run/config.json", isText: true, args: ["inspect", "run"] },
  { file: "run/metrics.jsonl", isText: true, args: ["inspect", "run"] },
  { file: "new/manifest.json", isText: true, args: ["inspect", "new"] },
  { file: "new/training_model.onnx", isText: false, args: ["inspect", "new"] },
  { file: "new/checkpoint", isText: false, args: ["export", "new/checkpoint", "--out", "x.onnx"] },
  { file: "picture.png", isText: false, args: ["predict", "--model", "run/model.onnx", "picture.png"] },
  {
    file: "run/model.onnx",
    isText: false,
    args: ["build-graph", "--from", "run/model.onnx", "--loss", "cross-entropy", "--out", "art"],
  },
  { file: "run/model.onnx", isText: false, args: ["train", ...trainFlags, "--init", "run/model.onnx"] },
  { file: "pictures.zip", isText: false, args: ["data", "pictures.zip"] },
  { file: "pictures.csv", isText: true, args: ["data", "pictures.csv"] },
  { file: "pictures.tar.gz", isText: false, args: ["train", ...trainFlags, "--data", "pictures.tar.gz"] },
];

async function throughCommandLine(folder: string, count: number, seed: number, tally: Tally): Promise<void> {
  const trials = Array.from({ length: count }, (_, trial) => trial);
  await eachOf(trials, 2, async (trial) => {
    const chosen = commands[trial % commands.length];
    if (!chosen) return;
    const { file, isText, args } = chosen;
    const place = join(folder, `command-${trial}`);
    await mkdir(place);
    for (const name of ["run", "new"])
      await cp(join(folder, "reference", name), join(place, name), { recursive: true });
    for (const name of ["picture.png", "pictures", "pictures.zip", "pictures.csv", "pictures.tar.gz"])
      await cp(join(folder, name), join(place, name), { recursive: true });
    const bytes = new Uint8Array(await readFile(join(place, file)));
    await writeFile(join(place, file), mutated(bytes, new Dice(seed, `command/${trial}`), isText));
    const ended = await shake(place, args);
    tally.add(
      `shake ${args[0]}, ${file}`,
      outcomeOf(ended),
      `seed ${seed}, command ${trial}: ${ended.stderr}`,
    );
    await rm(place, { recursive: true, force: true });
  });
}

function outcomeOf(ended: Awaited<ReturnType<typeof shake>>): Outcome {
  if (ended.isHanging) return "hang";
  if (ended.code === null) return "crash";
  if (ended.code === 0) return "right";
  return sentenceOf(ended) === undefined ? "stack trace" : "a sentence";
}
