import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ComparisonOptions } from "./options.ts";
import { PeerProcess, SilenceError } from "./peer-process.ts";
import { type Peer, type PeerName, peers } from "./peers.ts";
import { CHECKED_STEPS, type ExpectedLosses, writeWorkload } from "./prepare.ts";
import { affordableTurns, largestDeviation, type Turns } from "./statistics.ts";

/** A step of torch.compile's or XLA's first kind takes minutes. */
const LIMIT_MS = 20 * 60_000;
/** Losses that are further from ours, relatively, are those of another computation. */
const TOLERANCE = 1e-3;
/** What a batch is divided by for a peer that is too slow for it. */
const SHRINK = 8;

/** A peer that was measured. */
export interface Measured {
  readonly name: PeerName;
  readonly version: string;
  readonly batchSize: number;
  /** Images a second of every round. */
  readonly rates: readonly number[];
  /** Steps that were timed in all. */
  readonly steps: number;
  /** Of the losses of its first steps from ours, at most, relatively. */
  readonly deviation: number;
  readonly peakRssMb: number | undefined;
}

/** A peer that was not, and why. */
export interface Refused {
  readonly name: PeerName;
  readonly version?: string;
  readonly deviation?: number;
  readonly reason: string;
}

/** A peer that has shown that it computes what we do, and waits for its turns. */
interface Entrant extends Turns {
  readonly name: PeerName;
  readonly version: string;
  readonly batchSize: number;
  readonly process: PeerProcess;
  readonly deviation: number;
}

type Tell = (line: string) => void;

/** Runs a whole comparison in a folder for temporary files; `tell` hears what is under way. Throws UserError for a network that does not exist. */
export async function compare(
  options: ComparisonOptions,
  folder: string,
  tell: Tell,
): Promise<(Measured | Refused)[]> {
  const workloads = new Workloads(options, folder);
  await workloads.of(options.batchSize);
  const refused: Refused[] = [];
  const entrants: Entrant[] = [];
  for (const name of options.peers) {
    tell(name);
    const result = await enter(name, options, workloads).catch((error: Error) => ({
      name,
      reason: error.message,
    }));
    if ("process" in result) entrants.push(result);
    else {
      tell(`${name}: ${result.reason}`);
      refused.push(result);
    }
  }
  const measured = await takeTurns(entrants, options.rounds, tell);
  await Promise.all(entrants.map(({ process }) => process.end()));
  const rows = [...measured, ...refused];
  return options.peers.flatMap((name) => rows.filter((row) => row.name === name));
}

/** The same network with batches of several sizes, each written when it is first asked for. */
class Workloads {
  readonly #options: ComparisonOptions;
  readonly #folder: string;
  readonly #written = new Map<number, ExpectedLosses>();

  constructor(options: ComparisonOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  async of(batchSize: number): Promise<{ folder: string; expected: ExpectedLosses }> {
    const { depth, width, threads } = this.#options;
    const folder = join(this.#folder, `batch-${batchSize}`);
    let expected = this.#written.get(batchSize);
    if (!expected) {
      await mkdir(folder, { recursive: true });
      expected = await writeWorkload(folder, { depth, width, batchSize, threads });
      this.#written.set(batchSize, expected);
    }
    return { folder, expected };
  }
}

/** Installs and starts a peer, with a smaller batch where it may take one and must. */
async function enter(
  name: PeerName,
  options: ComparisonOptions,
  workloads: Workloads,
): Promise<Entrant | Refused> {
  const peer: Peer = peers[name];
  const tool = await peer.install();
  const stepLimitMs = peer.mayShrink ? (1000 * options.patience) / (CHECKED_STEPS + 1) : LIMIT_MS;
  for (let batchSize = options.batchSize; ; batchSize = Math.floor(batchSize / SHRINK)) {
    const { folder, expected } = await workloads.of(batchSize);
    const command = [tool, peer.script, folder, ...peer.args(options.threads)];
    const { process, version } = await PeerProcess.start(command, peerEnvironment(options.threads), LIMIT_MS);
    try {
      const { losses, seconds } = await firstSteps(process, stepLimitMs);
      const deviation = largestDeviation(losses, peer.sharesBatch ? expected.shared : expected.whole);
      if (deviation <= TOLERANCE)
        return {
          name,
          version,
          batchSize,
          process,
          deviation,
          ...affordableTurns(options, seconds, options.patience),
        };
      process.kill();
      const shown = losses.map((loss) => loss.toFixed(4)).join(", ");
      return { name, version, deviation, reason: `it computes something else: its losses are ${shown}` };
    } catch (error) {
      process.kill();
      if (!(error instanceof SilenceError) || batchSize < SHRINK)
        throw tooSlow(error, batchSize, stepLimitMs);
    }
  }
}

function tooSlow(error: unknown, batchSize: number, limitMs: number): unknown {
  if (!(error instanceof SilenceError)) return error;
  const seconds = Math.round(limitMs / 1000);
  return new Error(`it is too slow: a step of ${batchSize} images takes more than ${seconds} s`, {
    cause: error,
  });
}

/** The steps that are compared. Returns their losses and the seconds of the last, which has nothing left to prepare. */
async function firstSteps(
  process: PeerProcess,
  limitMs: number,
): Promise<{ losses: number[]; seconds: number }> {
  const losses: number[] = [];
  let seconds = 0;
  for (let step = 0; step < CHECKED_STEPS; step++) {
    const turn = await process.train(1, limitMs);
    losses.push(...turn.losses);
    seconds = sum(turn.ms) / 1000;
  }
  return { losses, seconds };
}

/** Round after round every peer takes its steps, each round from another one on. */
async function takeTurns(
  entrants: readonly Entrant[],
  rounds: number,
  tell: Tell,
): Promise<(Measured | Refused)[]> {
  const progress = entrants.map((entrant) => ({
    entrant,
    rates: [] as number[],
    steps: 0,
    peakRssMb: undefined as number | undefined,
    reason: undefined as string | undefined,
  }));
  for (let round = 0; round < rounds; round++) {
    tell(`round ${round + 1} of ${rounds}`);
    const first = round % Math.max(1, progress.length);
    for (const peer of [...progress.slice(first), ...progress.slice(0, first)]) {
      const { process, batchSize, steps, rounds: affordable } = peer.entrant;
      if (round >= affordable || peer.reason !== undefined) continue;
      try {
        const { ms, peak_rss_mb } = await process.train(steps, LIMIT_MS);
        peer.rates.push((1000 * batchSize * ms.length) / sum(ms));
        peer.steps += ms.length;
        peer.peakRssMb = peak_rss_mb;
      } catch (error) {
        process.kill();
        peer.reason = (error as Error).message;
      }
    }
  }
  return progress.map(({ entrant: { name, version, batchSize, deviation }, reason, ...measured }) =>
    reason === undefined
      ? { name, version, batchSize, deviation, ...measured }
      : { name, version, deviation, reason },
  );
}

/** What keeps the others to the same threads and to the CPU, and quiet. */
function peerEnvironment(threads: number): NodeJS.ProcessEnv {
  return {
    ...process.env,
    OMP_NUM_THREADS: String(threads),
    CUDA_VISIBLE_DEVICES: "",
    JAX_PLATFORMS: "cpu",
    TF_CPP_MIN_LOG_LEVEL: "2",
    TORCHINDUCTOR_COMPILE_THREADS: "1",
    PYTHONDONTWRITEBYTECODE: "1",
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
