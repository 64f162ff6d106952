import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../graph-builder/index.ts";
import { compare } from "./comparison.ts";
import { readOptions, usage } from "./options.ts";
import { killPeers } from "./peer-process.ts";
import { type Peer, peersOf } from "./peers.ts";
import { describe, summarize } from "./report.ts";

/** Runs `npm run bench:compare`. Returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (!options) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), "shake-compare-"));
  const clean = () => {
    killPeers();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => {
      clean();
      process.exit(code);
    });
  }
  try {
    const isChosen = ([name]: readonly [string, Peer]) => options.peers.some((peer) => peer === name);
    const chosen = Object.fromEntries(Object.entries(peersOf(options)).filter(isChosen));
    const rows = await compare(options, chosen, folder, (line) => process.stderr.write(`${line}\n`));
    const report = summarize(options, rows);
    process.stdout.write(`${options.json ? JSON.stringify(report) : describe(report)}\n`);
    return 0;
  } finally {
    clean();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isMistake = error instanceof UserError;
  const text = error instanceof Error && !isMistake ? error.stack : String(isMistake ? error.message : error);
  process.stderr.write(`bench:compare: ${text}\n`);
  process.exitCode = isMistake ? 2 : 1;
}
