import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hostileArchives, twoWriters } from "./hostile.ts";
import { killCampaign } from "./kills.ts";
import { mutationCampaign } from "./mutations.ts";
import { Tally } from "./tally.ts";

const usage = "npm run test:faults -- [--kills N] [--mutations N] [--seed N]";

/** Runs the campaigns, prints their table and ends with 1 where a trial ended badly. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kills: { type: "string", default: "50" },
      mutations: { type: "string", default: "5000" },
      seed: { type: "string", default: "1" },
    },
  });
  const [kills, mutations, seed] = [values.kills, values.mutations, values.seed].map(Number);
  if (
    kills === undefined ||
    mutations === undefined ||
    seed === undefined ||
    !(kills + mutations + seed >= 0)
  )
    throw new Error(usage);
  const tally = new Tally();
  const folder = await mkdtemp(join(tmpdir(), "shake-faults-"));
  try {
    // makes the reference too
    await killCampaign(folder, kills, seed, tally);
    await twoWriters(folder, Math.ceil(kills / 16), tally);
    await hostileArchives(folder, tally);
    await mutationCampaign(folder, mutations, seed, tally);
  } finally {
    await rm(folder, { recursive: true, force: true });
    process.stdout.write(`${tally.table()}\n`);
  }
  if (tally.failures.length === 0) return;
  process.stdout.write(`${tally.failures.length} failed\n`);
  process.exitCode = 1;
}

await main();
