// Accuracy that takes hours to measure: the trainings of a study, their table and their figure. What is trained
// is kept, so the command goes on where it was cut, and two studies share equal trainings.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { UserError } from "../../graph-builder/index.ts";
import { makeFolder, writeFileAtomic } from "../../runtime/node/files.ts";
import { figureOf, tableOf } from "./report.ts";
import { type Study, studies } from "./studies.ts";
import { type Outcome, outcomeOf, type Place } from "./training.ts";

const names = Object.keys(studies).join(", ");
const usage = `npm run bench:accuracy -- STUDY [flags]  train the networks of a study: ${names}

  --seeds N        seeds of each training [default: 3]
  --at-once N      trainings at once, each on one core [default: all cores]
  --folder FOLDER  where trainings and figures are kept [default: runs/accuracy]
  --data-dir DIR   folder with the files of CIFAR-10
  --python FILE    Python with PyTorch, for torch-curves [default: .venv/bin/python]`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: "string", default: "3" },
    "at-once": { type: "string", default: String(availableParallelism()) },
    folder: { type: "string", default: "runs/accuracy" },
    "data-dir": { type: "string" },
    python: { type: "string", default: ".venv/bin/python" },
    help: { type: "boolean", short: "h", default: false },
  },
});
const [name = ""] = positionals;
const study = studies[name];
try {
  if (values.help) console.log(usage);
  else await measure(study ?? unknownStudy());
} catch (error) {
  console.error(`bench:accuracy: ${error instanceof Error ? error.message : error}`);
  // the other trainings go on in the next call
  process.exit(error instanceof UserError ? 2 : 1);
}

function unknownStudy(): never {
  const what = name === "" ? "Name a study" : `${name} is no study`;
  throw new UserError(`${what}: ${names}.`, { code: "setting-invalid" });
}

async function measure(study: Study): Promise<void> {
  const { folder, python, "data-dir": dataDir } = values;
  const place = { folder, python, dataDir, measuresBranches: study.figure?.shows === "correlation" };
  await makeFolder(place.folder);
  const outcomes = await trainAll(study, place);
  console.log(tableOf(study, outcomes));
  const figure = figureOf(study, outcomes);
  if (figure === undefined) return;
  const file = join(place.folder, `${name}.svg`);
  await writeFileAtomic(file, figure);
  console.error(`The figure is ${file}.`);
}

/** Trains what is missing, several at once. All rows have a first seed before one has a second. */
async function trainAll(study: Study, place: Place): Promise<Map<Study["rows"][number], Outcome[]>> {
  const seeds = Array.from({ length: count("seeds") }, (_, i) => i + 1);
  const queue = seeds.flatMap((seed) => study.rows.map((row) => ({ row, seed })));
  const outcomes = new Map(study.rows.map((row) => [row, [] as Outcome[]]));
  let done = 0;
  const rest = queue.values();
  const workers = Array.from({ length: count("at-once") }, async () => {
    for (const { row, seed } of rest) {
      const outcome = await outcomeOf(row, seed, place);
      outcomes.get(row)?.push(outcome);
      done++;
      const title = `${row.label}, seed ${seed}`;
      console.error(`[${done} of ${queue.length}] ${title}: ${outcome.accuracy.toFixed(2)} %`);
    }
  });
  await Promise.all(workers);
  return outcomes;
}

function count(flag: "seeds" | "at-once"): number {
  if (/^[1-9]\d{0,3}$/.test(values[flag])) return Number(values[flag]);
  throw new UserError(`--${flag} must be a whole number from 1, not ${values[flag]}.`, {
    code: "setting-invalid",
  });
}
