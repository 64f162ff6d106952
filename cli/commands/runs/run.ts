import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isForbidden, refusal } from "../../../artifacts/read-file.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { isThere } from "../../../runtime/node/files.ts";
import { writeFileAtomic } from "../../../runtime/node/index.ts";
import { isRun } from "../../../runtime/node/run/run-directory.ts";
import {
  bestAccuracy,
  differingSettings,
  type RunSummary,
  secondsOf,
  summarizeRun,
} from "../../models/run-summary.ts";
import { expectOutputFile } from "../../output.ts";
import { comparePage } from "../../report/compare-page.ts";
import { print, say } from "../../terminal.ts";
import { openInBrowser } from "../report/open-in-browser.ts";
import type { RunsGiven } from "./command.ts";
import { describeComparison, describeList } from "./describe.ts";

export async function run(given: RunsGiven): Promise<number> {
  const { runs: named = [], out, open, json } = given;
  if (open && out === undefined) {
    throw new UserError("--open shows the page that --out writes: give --out compare.html.", {
      code: "setting-conflict",
      details: { setting: "open" },
    });
  }
  if (out !== undefined) await expectOutputFile(out, named[0] ?? RUNS);
  const paths = named.length > 1 ? await expectRuns(named) : await runsIn(named[0] ?? RUNS);
  const runs = await Promise.all(paths.map(summarizeRun));
  if (named.length < 2) runs.sort((a, b) => b.time - a.time);
  if (out !== undefined) {
    await writeFileAtomic(out, comparePage(runs));
    say(`The comparison is in ${out}.`);
    if (open) await openInBrowser(out);
  }
  if (json) print(JSON.stringify({ runs: runs.map(factsOf), differing: differencesOf(runs) }));
  else print(named.length > 1 ? describeComparison(runs) : describeList(runs));
  return 0;
}

const RUNS = "runs";

async function expectRuns(paths: readonly string[]): Promise<readonly string[]> {
  for (const path of paths) {
    if (await isRun(path)) continue;
    throw new UserError(`${path} is not the folder of a run: it has no config.json.`, {
      code: "run-missing",
      details: { path },
    });
  }
  return paths;
}

/** How deep below a folder runs are looked for. */
const DEPTH = 3;

/**
 * The runs in a folder and in the folders in it. Throws UserError where there is none, and where a permission
 * is missing to look into the folder.
 */
async function runsIn(folder: string): Promise<readonly string[]> {
  const found = await find(folder, DEPTH);
  if (found.length > 0) return found;
  throw new UserError(
    (await isThere(folder))
      ? `${folder} holds no run: shake train makes one.`
      : `There is no folder ${folder}.`,
    { code: "run-missing", details: { path: folder } },
  );
}

async function find(folder: string, depth: number): Promise<string[]> {
  if (await isRun(folder)) return [folder];
  if (depth === 0) return [];
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (isForbidden(error)) throw refusal(folder, "read", error);
    return [];
  });
  // temporary folders of runs that are being made begin with a dot
  const folders = entries.filter((entry) => !entry.name.startsWith(".") && !entry.isFile());
  const inside = await Promise.all(folders.map(({ name }) => findBelow(join(folder, name), depth - 1)));
  return inside.flat().sort();
}

/** The runs in a folder in the one that was named; none where a permission is missing to look into it. */
async function findBelow(folder: string, depth: number): Promise<string[]> {
  try {
    return await find(folder, depth);
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

function factsOf(run: RunSummary): object {
  const { path, state, fault, network, data, epochs, records } = run;
  const last = records.at(-1);
  return {
    run: path,
    state,
    ...(fault === undefined ? {} : { fault }),
    network,
    data,
    epochs: last?.epoch ?? 0,
    of_epochs: epochs,
    test_accuracy: last?.test_accuracy ?? null,
    best_accuracy: bestAccuracy(run) ?? null,
    train_accuracy: last?.train_accuracy ?? null,
    seconds: secondsOf(run),
  };
}

function differencesOf(runs: readonly RunSummary[]): Readonly<Record<string, readonly unknown[]>> {
  return Object.fromEntries(
    differingSettings(runs).map(({ name, values }) => [name, values.map((value) => value ?? null)]),
  );
}
