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
 * Trains a row with a seed on one core, from where it was cut, unless the folder has its end already. Equal
 * trainings of two studies are one. Throws Error where the program fails, naming its log.
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
    const one = ["--seed", String(seed), "--threads", "1", "--replicas", "1", "--run-dir", path];
    const resumed = ["--resume", path, "--threads", "1", "--replicas", "1"];
    await run(`${path}.log`, process.execPath, [
      shake,
      "train",
      ...((await isRun(path)) ? resumed : [...row.flags, ...one]),
      ...place,
    ]);
  }
  const records = await (await openRun(path)).records();
  const curve = records.flatMap(({ epoch, test_accuracy: accuracy }) =>
    accuracy === undefined || accuracy === null ? [] : [[epoch, accuracy] as const],
  );
  const accuracy = curve.at(-1)?.[1];
  if (accuracy === undefined) throw new Error(`${path} has no test accuracy.`);
  return { accuracy, curve };
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
