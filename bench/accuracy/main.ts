// Accuracy that takes hours to measure: the trainings of a study, their table and their figure. What is
// trained is kept, so the command goes on where it was cut, and two studies share equal trainings.
import { join } from "node:path";
import { UserError } from "../../graph-builder/index.ts";
import { makeFolder, writeFileAtomic } from "../../runtime/node/files.ts";
import { type AccuracyOptions, readOptions, usage } from "./options.ts";
import { figureOf, tableOf } from "./report.ts";
import { type Row, type Study, studies } from "./studies.ts";
import { correlationsOf, mirroredOf, type Outcome, outcomeOf } from "./training.ts";

try {
  const options = readOptions(process.argv.slice(2));
  const study = studies[options?.study ?? ""];
  if (options && study) await measure(study, options);
  else console.log(usage);
} catch (error) {
  console.error(`bench:accuracy: ${error instanceof Error ? error.message : error}`);
  // the other trainings go on in the next call
  process.exit(error instanceof UserError ? 2 : 1);
}

async function measure(study: Study, options: AccuracyOptions): Promise<void> {
  await makeFolder(options.folder);
  const outcomes = await trainAll(study, options);
  console.log(tableOf(study, outcomes));
  const figure = figureOf(study, outcomes);
  if (figure === undefined) return;
  const file = join(options.folder, `${options.study}.svg`);
  await writeFileAtomic(file, figure);
  console.error(`The figure is ${file}.`);
}

/** Trains what is missing, several at once. All rows have a first seed before one has a second. */
async function trainAll(study: Study, options: AccuracyOptions): Promise<Map<Row, Outcome[]>> {
  const seeds = Array.from({ length: options.seeds }, (_, i) => i + 1);
  const queue = seeds.flatMap((seed) => study.rows.map((row) => ({ row, seed })));
  const outcomes = new Map(study.rows.map((row) => [row, [] as Outcome[]]));
  const rest = queue.values();
  let done = 0;
  const atOnce = study.rows.some(({ usesAllCores }) => usesAllCores) ? 1 : options.atOnce;
  const workers = Array.from({ length: atOnce }, async () => {
    for (const { row, seed } of rest) {
      const outcome = await outcomeOf(row, seed, options);
      outcomes.get(row)?.push({ ...outcome, ...(await moreOf(study, row, seed, options)) });
      done++;
      const title = `${row.label}, seed ${seed}`;
      console.error(`[${done} of ${queue.length}] ${title}: ${outcome.accuracy.toFixed(2)} %`);
    }
  });
  await Promise.all(workers);
  return outcomes;
}

/** What the figure of a study shows of a trained network beside its accuracy. */
async function moreOf(
  { figure }: Study,
  row: Row,
  seed: number,
  options: AccuracyOptions,
): Promise<Pick<Outcome, "correlations" | "mirrored">> {
  if (figure?.shows === "correlation") return { correlations: await correlationsOf(row, seed, options) };
  if (figure?.shows === "minutes") return { mirrored: await mirroredOf(row, seed, options) };
  return {};
}
