import { counted } from "../../artifacts/counted.ts";
import { confusedPairs } from "../../runtime/index.ts";
import type { MeasuredFacts, ReportFacts, RunFacts } from "./facts.ts";
import { nameOfPart, percent, wilsonInterval } from "./numbers.ts";

/** A sentence about a run that a person can act on. */
export interface Finding {
  readonly level: "fault" | "warning" | "good" | "note";
  readonly text: string;
}

/** The share of the mean number of training pictures below which a class is called rare. */
const RARE = 0.25;

/** The gap of two accuracies, in points, that is worth a sentence. */
const GAP = 10;

/** What stands out in a run: what failed first, then what may be mended, then what is as it should be. */
export function findingsOf({ run, measured, notes }: ReportFacts): readonly Finding[] {
  const found = [
    ...stateFindings(run),
    ...(measured ? [...guessing(measured), ...classFindings(measured), ...calibration(measured)] : []),
    ...curveFindings(run),
    ...notes.map((text): Finding => ({ level: "warning", text })),
    ...(measured ? certainty(measured) : []),
  ];
  const order = ["fault", "warning", "good", "note"];
  return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

function stateFindings({ state, records, epochs }: RunFacts): Finding[] {
  const done = `${records.length} of ${counted(epochs, "epoch")} ${records.length === 1 ? "is" : "are"} measured`;
  if (state === "diverged")
    return [
      {
        level: "fault",
        text: `The run diverged: a loss or a parameter was no longer a finite number. ${done}. A lower --learning-rate may help.`,
      },
    ];
  if (state === "running") return [{ level: "warning", text: `The run still trains: ${done}.` }];
  if (state === "stopped")
    return [{ level: "warning", text: `The run was stopped before its end: ${done}.` }];
  return [];
}

/** Whether a network does better than one that always says the largest class. */
function guessing({ evaluation, part }: MeasuredFacts): Finding[] {
  const { perClass, accuracy, images } = evaluation;
  const largest = [...perClass].sort((a, b) => b.images - a.images)[0];
  if (!largest || images === 0 || perClass.length < 2) return [];
  const guess = (100 * largest.images) / images;
  const [low] = wilsonInterval((accuracy / 100) * images, images);
  if (100 * low > guess) return [];
  return [
    {
      level: "fault",
      text: `The network is not surely better than a guess: always saying ${largest.className} would be right for ${percent(guess / 100)} of the ${nameOfPart(part)} images, and it is right for ${percent(accuracy / 100)}.`,
    },
  ];
}

function classFindings({ evaluation, classNames, trainCounts }: MeasuredFacts): Finding[] {
  const { perClass, confusion } = evaluation;
  const nameOf = (i: number) => classNames[i] ?? `class ${i}`;
  const found: Finding[] = [];
  const [pair] = confusedPairs(confusion, 1);
  if (pair && pair.images > 1) {
    found.push({
      level: "warning",
      text: `Most often confused: ${pair.images} of ${pair.of} images of ${nameOf(pair.label)} were taken for ${nameOf(pair.predicted)}.`,
    });
  }
  const measured = perClass.filter(({ images }) => images > 0);
  const worst = [...measured].sort((a, b) => a.correct / a.images - b.correct / b.images)[0];
  if (worst && measured.length > 2 && worst.correct < 0.8 * worst.images)
    found.push({
      level: "warning",
      text: `${worst.className} is found least: ${worst.correct} of ${worst.images} images, a recall of ${percent(worst.correct / worst.images)}.`,
    });
  const unmeasured = perClass.filter(({ images }) => images === 0).map(({ className }) => className);
  if (unmeasured.length > 0)
    found.push({ level: "warning", text: `Not measured, because there is no image: ${listed(unmeasured)}.` });
  const counts = trainCounts ?? [];
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const rare = counts.flatMap((count, i) => (count < RARE * mean ? [`${nameOf(i)} (${count})`] : []));
  if (rare.length > 0)
    found.push({
      level: "warning",
      text: `Rare in the training pictures, which have ${Math.round(mean)} of a class on average: ${listed(rare)}. More pictures of them help most.`,
    });
  return found;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

function calibration({ evaluation: { reliability } }: MeasuredFacts): Finding[] {
  const { expectedError, overconfidence } = reliability;
  if (!(expectedError >= 0.05)) return [];
  const how = overconfidence > 0 ? "surer than it is right" : "less sure than it is right";
  return [
    {
      level: "warning",
      text: `The network is ${how}: its calibration error is ${percent(expectedError)}, so a probability is not to be read as a chance of being right.`,
    },
  ];
}

function curveFindings({ records, part }: RunFacts): Finding[] {
  const finite = records.filter((record) => Number.isFinite(record.test_accuracy));
  const last = finite.at(-1);
  const best = [...finite].sort((a, b) => b.test_accuracy - a.test_accuracy)[0];
  if (!last || !best) return [];
  const found: Finding[] = [];
  const gap = last.train_accuracy - last.test_accuracy;
  if (gap > GAP)
    found.push({
      level: "warning",
      text: `The training accuracy is ${gap.toFixed(1)} points above that of ${nameOfPart(part)} images: the network learns its pictures by heart. More pictures, or stronger augmentation, help.`,
    });
  if (best.test_accuracy - last.test_accuracy > 1)
    found.push({
      level: "note",
      text: `Epoch ${best.epoch} was better than the last one, ${best.test_accuracy.toFixed(2)} % against ${last.test_accuracy.toFixed(2)} %: --checkpoint best takes it. A maximum over epochs is a little too good to be true.`,
    });
  return found;
}

function certainty({ evaluation: { accuracy, images }, part }: MeasuredFacts): Finding[] {
  if (images === 0) return [];
  const [low, high] = wilsonInterval((accuracy / 100) * images, images);
  return [
    {
      level: "note",
      text: `With ${images.toLocaleString("en-US")} ${nameOfPart(part)} images the accuracy lies between ${percent(low)} and ${percent(high)} with 95 % certainty (Wilson's interval).`,
    },
  ];
}
