// The article's training of Shake-Shake, and the paper's corrections one after the other.
// npm run build && node dist/examples/article/main.js --data cifar10 --epochs 4
import { appendFile, readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { loadDataset, openDevice } from "shakenet/node";
import { type DatasetName, DivergedError, datasetNames, isDatasetName } from "shakenet/runtime";
import { corrected, corrections } from "./recipe.ts";
import { accuracyOf } from "./training.ts";

const { values } = parseArgs({
  options: {
    data: { type: "string", default: "shapes" },
    "data-dir": { type: "string" },
    "train-limit": { type: "string", default: "50000" },
    "test-limit": { type: "string", default: "10000" },
    depth: { type: "string", default: "8" },
    width: { type: "string", default: "16" },
    epochs: { type: "string", default: "4" },
    "batch-size": { type: "string", default: "128" },
    seeds: { type: "string", default: "3" },
    // in place of every recipe's own
    "learning-rate": { type: "string" },
    threads: { type: "string", default: "2" },
    results: { type: "string", default: "article.jsonl" },
  },
});

/** One training: how many corrections it has, and the percent of right answers; null where it diverged. */
interface Result {
  readonly settings: string;
  readonly corrections: number;
  readonly seed: number;
  readonly accuracy: number | null;
  readonly diverged?: number;
}

const { results, seeds, threads, ...common } = values;
const settings = JSON.stringify(common);
const lines = (await readFile(results, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");
const known: Result[] = lines.map((line) => JSON.parse(line)).filter((line) => line.settings === settings);

const { data } = values;
if (!isDatasetName(data)) throw new RangeError(`there is no data set ${data}: ${datasetNames.join(", ")}`);
const dataDir = values["data-dir"];
const trainSet = await load(data, "train", values["train-limit"]);
const testSet = await load(data, "test", values["test-limit"]);
const device = await openDevice("cpu", { threads: Number(threads) });
for (let seed = 1; seed <= Number(seeds); seed++) {
  for (let count = 0; count <= corrections.length; count++) {
    if (known.some((line) => line.seed === seed && line.corrections === count)) continue;
    const result = { settings, corrections: count, seed, ...(await outcome(count, seed)) };
    known.push(result);
    await appendFile(results, `${JSON.stringify(result)}\n`);
    console.error(`seed ${seed}, ${nameOf(count)}: ${format(result)}`);
  }
}
console.log("| | accuracy in percent |\n|---|---|");
for (let count = 0; count <= corrections.length; count++) {
  const row = known.filter((line) => line.corrections === count).map(format);
  console.log(`| ${nameOf(count)} | ${row.join(", ")} |`);
}

function load(dataset: DatasetName, split: "train" | "test", limit: string) {
  return loadDataset(dataset, { split, limit: Number(limit), ...(dataDir === undefined ? {} : { dataDir }) });
}

async function outcome(count: number, seed: number): Promise<Pick<Result, "accuracy" | "diverged">> {
  const rate = values["learning-rate"];
  const recipe = { ...corrected(count), ...(rate === undefined ? {} : { learningRate: Number(rate) }) };
  const size = { depth: Number(values.depth), width: Number(values.width), seed };
  const run = { epochs: Number(values.epochs), batchSize: Number(values["batch-size"]) };
  try {
    return { accuracy: await accuracyOf({ ...size, ...run, recipe, trainSet, testSet, device }) };
  } catch (error) {
    if (error instanceof DivergedError) return { accuracy: null, diverged: error.step };
    throw error;
  }
}

function nameOf(count: number): string {
  return count === 0 ? "the article" : `and ${corrections[count - 1]?.[0]}`;
}

function format({ accuracy, diverged }: Result): string {
  return accuracy === null ? `NaN at step ${diverged}` : accuracy.toFixed(2);
}
