import { join } from "node:path";
import { UserError } from "../../graph-builder/errors.ts";
import { Dice } from "./dice.ts";
import { type Format, makeFormats, other } from "./formats.ts";
import { mutated } from "./mutate.ts";
import { makePictureFormats } from "./picture-formats.ts";
import type { Outcome } from "./tally.ts";

/** What the worker says of a trial: that it begins, or what came of it. */
export interface Report {
  readonly trial: number;
  readonly kind: string;
  readonly outcome?: Outcome;
  readonly what?: string;
}

const [folder = "", seed, first, last] = process.argv.slice(2);

/** Reads damaged files, each in a trial with a number, which with the seed repeats it. */
async function main(): Promise<void> {
  process.env["SHAKE_CACHE_DIR"] = join(folder, `cache-${first}`);
  const formats: readonly Format[] = [
    ...(await makeFormats(join(folder, "reference"), folder)),
    ...(await makePictureFormats(folder)),
  ];
  // a reader that refuses the sound file would make every trial look right
  for (const { name, bytes, read } of formats)
    if ((await outcomeOf(() => read(bytes, join(folder, `sound-${first}`))))[0] !== "right")
      throw new Error(`the sound file of ${name} is not read`);
  for (let trial = Number(first); trial < Number(last); trial++) {
    const format = formats[trial % formats.length];
    if (!format) continue;
    const { name: kind, bytes, isText, read } = format;
    send({ trial, kind });
    const damaged = mutated(bytes, new Dice(Number(seed), `mutation/${trial}`), isText);
    const [outcome, what] = await outcomeOf(() => read(damaged, join(folder, `damaged-${first}`)));
    send({ trial, kind, outcome, what });
  }
  process.disconnect();
}

function send(report: Report): void {
  process.send?.(report);
}

async function outcomeOf(read: () => unknown): Promise<[Outcome, string]> {
  try {
    return [(await read()) === other ? "silently other" : "right", ""];
  } catch (error) {
    const isSentence = error instanceof UserError && /^[^\n]+[.?]$/.test(error.message);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return isSentence ? ["a sentence", ""] : ["stack trace", text];
  }
}

await main();
