import { spawn } from "node:child_process";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runStateOf } from "../../cli/models/run-state.ts";
import { writeFileAtomic } from "../../runtime/node/files.ts";
import { isRun } from "../../runtime/node/run/run-directory.ts";
import { openRun } from "../../shakenet/node/run.ts";
import type { Row } from "./studies.ts";

/** What a training gave. */
export interface Outcome {
  /** The last accuracy over the test images, in percent. */
  readonly accuracy: number;
  /** The accuracy over the test images after each epoch that measured it. */
  readonly curve: readonly (readonly [epoch: number, accuracy: number])[];
  /** The correlation of the branches of each block of a ShakeNet. */
  readonly correlations?: readonly number[];
  /** The time of training and evaluation, of `shake train`. */
  readonly minutes?: number;
  /** The last accuracy over the test images with mirrored images too, in percent. */
  readonly mirrored?: number;
}

/** The folder that trainings are kept in, that of CIFAR-10, and the Python that has PyTorch. */
export interface Place {
  readonly folder: string;
  readonly python: string;
  readonly dataDir: string | undefined;
}

const repository = fileURLToPath(new URL("../../..", import.meta.url));
const shake = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const torch = join(repository, "test/interop/train_torch.py");

/**
 * Trains a row with a seed, from where it was cut, unless the folder has its end already. Equal trainings of
 * two studies are one. Throws Error where the program fails, naming its log.
 */
export async function outcomeOf(row: Row, seed: number, place: Place): Promise<Outcome> {
  const train = row.program === "shake" ? trainedByShake : trainedByTorch;
  return train(pathOf(row, seed, place), row, seed, place);
}

/** The path of what a training leaves, which its program and flags name. */
function pathOf({ program, flags }: Row, seed: number, { folder }: Place): string {
  return join(folder, [program, ...flags, `s${seed}`].join("_").replaceAll("--", ""));
}

async function trainedByShake(path: string, row: Row, seed: number, { dataDir }: Place): Promise<Outcome> {
  if (!(await isFinished(path))) {
    const place = dataDir === undefined ? [] : ["--data-dir", dataDir];
    const cores = row.usesAllCores ? [] : ["--threads", "1", "--replicas", "1"];
    const start = [...row.flags, "--seed", String(seed), "--run-dir", path];
    const training = (await isRun(path)) ? ["--resume", path] : start;
    await run(`${path}.log`, process.execPath, [shake, "train", ...training, ...cores, ...place]);
  }
  const records = await (await openRun(path)).records();
  const minutes = records.reduce((sum, { seconds }) => sum + seconds / 60, 0);
  const curve = records.flatMap(({ epoch, test_accuracy: accuracy }) =>
    accuracy === undefined || accuracy === null ? [] : [[epoch, accuracy] as const],
  );
  const accuracy = curve.at(-1)?.[1];
  if (accuracy === undefined) throw new Error(`${path} has no test accuracy.`);
  return { accuracy, curve, minutes };
}

/**
 * The correlation of the two branches of each block, over all test images, of a row that `shake train` has
 * trained. Throws Error where `shake inspect` fails, naming its log.
 */
export async function correlationsOf(row: Row, seed: number, place: Place): Promise<readonly number[]> {
  const path = pathOf(row, seed, place);
  const text = await run(`${path}.log`, process.execPath, [shake, "inspect", path, "--branches", "--json"]);
  const { correlations }: { readonly correlations: readonly number[] } = JSON.parse(text);
  return correlations;
}

/**
 * The accuracy over the test images, in percent, with the scores of each image and its mirror averaged, of a
 * row that `shake train` has trained. Throws Error where `shake eval` fails, naming its log.
 */
export async function mirroredOf(row: Row, seed: number, place: Place): Promise<number> {
  const path = pathOf(row, seed, place);
  const text = await run(`${path}.log`, process.execPath, [shake, "eval", path, "--tta", "--json"]);
  const { tta_accuracy: accuracy }: { readonly tta_accuracy: number } = JSON.parse(text);
  return accuracy;
}

async function isFinished(path: string): Promise<boolean> {
  if (!(await isRun(path))) return false;
  const training = await openRun(path);
  return (await runStateOf(training, await training.records())) === "finished";
}

async function trainedByTorch(path: string, row: Row, seed: number, place: Place): Promise<Outcome> {
  const file = `${path}.json`;
  const known = await readFile(file, "utf8").catch(() => undefined);
  const data = place.dataDir;
  if (known === undefined && data === undefined) {
    throw new Error("PyTorch's loop needs the folder of CIFAR-10, as --data-dir.");
  }
  const text =
    known ??
    (await run(`${path}.log`, place.python, [
      torch,
      ...["--data", data ?? "", "--seed", String(seed), "--state", `${path}.pt`, ...row.flags],
    ]));
  if (known === undefined) await writeFileAtomic(file, text);
  const { curve, test }: { readonly curve: readonly number[]; readonly test: number } = JSON.parse(text);
  return { accuracy: test, curve: curve.map((value, i) => [i + 1, value]) };
}

/** Runs a program with its messages in a log, and returns what it prints. */
async function run(log: string, program: string, args: readonly string[]): Promise<string> {
  const messages = await open(log, "a");
  try {
    const child = spawn(program, args, {
      env: { ...process.env, OMP_NUM_THREADS: "1" },
      stdio: ["ignore", "pipe", messages.fd],
    });
    let printed = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    const code = await new Promise((resolve, reject) => child.once("close", resolve).once("error", reject));
    if (code !== 0) throw new Error(`${program} ended with ${code}; its messages are in ${log}.`);
    return printed;
  } finally {
    await messages.close();
  }
}
