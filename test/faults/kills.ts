import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Dice } from "./dice.ts";
import { eachOf } from "./pool.ts";
import { makeScenarios, refusalOf, type Scenario } from "./scenarios.ts";
import { type Disturbance, shake } from "./shake.ts";
import type { Tally } from "./tally.ts";

const errors = ["ENOSPC", "EIO", "EDQUOT"] as const;
const moments = ["before", "after", "half"] as const;

/** One command that is disturbed once. */
interface Trial {
  readonly scenario: Scenario;
  readonly kind: string;
  readonly disturbance: Disturbance;
}

/**
 * Kills commands that change files with SIGKILL, at random moments and at every call that changes files, and
 * lets such calls fail as on a full disk. The work is done again after, and its result compared with one that
 * was not disturbed.
 */
export async function killCampaign(folder: string, count: number, seed: number, tally: Tally): Promise<void> {
  const reference = join(folder, "reference");
  await mkdir(reference, { recursive: true });
  const scenarios = await makeScenarios(reference);
  const trials = await plan(folder, scenarios, count, seed);
  await eachOf(trials, 2, async ({ scenario, kind, disturbance }, index) => {
    const place = join(folder, `kill-${index}`);
    await mkdir(place);
    await scenario.prepare(place);
    const { fault } = disturbance;
    const isError = disturbance.mostKiB !== undefined || errors.some((error) => fault?.endsWith(error));
    const said = isError ? await refusalOf(place, scenario, disturbance) : undefined;
    if (!isError) await shake(place, scenario.command, disturbance);
    const judged = await scenario.judge(place).catch(() => "lost" as const);
    const isFine = judged === "right" || judged === "a sentence";
    const what = `${scenario.command.join(" ")} with ${JSON.stringify(disturbance)}`;
    tally.add(`${scenario.name}: ${kind}`, said === undefined || !isFine ? judged : said, what);
    await rm(place, { recursive: true, force: true });
  });
}

/**
 * Half of the trials are kills at calls, a quarter at random moments; in a quarter a call fails, or files may
 * not grow beyond a size.
 */
async function plan(
  folder: string,
  scenarios: readonly Scenario[],
  count: number,
  seed: number,
): Promise<Trial[]> {
  const dice = new Dice(seed, "kills");
  const counted = await Promise.all(
    scenarios.map(async (scenario, i) => {
      const place = join(folder, `count-${i}`);
      await mkdir(place);
      await scenario.prepare(place);
      const start = performance.now();
      const { calls } = await shake(place, scenario.command, { fault: "count" });
      // trials whose call never comes would all look right
      if (!(calls > 0)) throw new Error(`${scenario.name} was counted to change no file`);
      return { scenario, calls, milliseconds: performance.now() - start };
    }),
  );
  return Array.from({ length: count }, (_, i): Trial => {
    const chosen = counted[i % counted.length];
    if (!chosen) throw new Error("there is no scenario");
    const { scenario, calls, milliseconds } = chosen;
    const round = Math.floor(i / counted.length);
    // strides over all calls, so that few trials are spread over the whole command
    const call = 1 + ((round * 7 + dice.below(7)) % calls);
    if (round % 4 === 3) {
      const disturbance = { killAfterMs: dice.below(Math.ceil(milliseconds)) };
      return { scenario, kind: "killed at a random moment", disturbance };
    }
    if (round % 8 === 6) {
      const disturbance = { mostKiB: dice.below(dice.of([8, 64, 400])) };
      return { scenario, kind: "files limited in size (ulimit -f)", disturbance };
    }
    if (round % 4 === 2) {
      const error = errors[Math.floor(round / 8) % errors.length];
      return {
        scenario,
        kind: "a call fails (disk full, quota, I/O)",
        disturbance: { fault: `${call}:${error}` },
      };
    }
    const moment = moments[round % moments.length];
    return { scenario, kind: "killed at a call", disturbance: { fault: `${call}:${moment}` } };
  });
}
