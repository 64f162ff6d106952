import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { at } from "../../graph-builder/index.ts";
import type { Plan } from "./options.ts";
import { PeerProcess } from "./peer-process.ts";
import type { Turn } from "./peers/steps.ts";
import type { Peer } from "./peers.ts";
import { CHECKED_STEPS, type ExpectedLosses, writeWorkload } from "./prepare.ts";
import { writeModelWorkload } from "./prepare-model.ts";
import { affordableTurns, largestDeviation, type Turns } from "./statistics.ts";

/** The longest answer of a peer. The slowest one is torch.compile's first step. */
export const LIMIT_MS = 20 * 60_000;
/** A larger relative difference of a loss from ours means another computation. */
const TOLERANCE = 1e-3;
/** The batch of a slow peer is divided by this number. */
const SHRINK = 8;

/** A peer that computes the same losses and waits for its turns. */
export interface Entrant extends Turns {
  readonly version: string;
  readonly batchSize: number;
  /** The largest relative difference of its first losses from ours. */
  readonly deviation: number;
  readonly process: PeerProcess;
  /** Whether it takes fewer turns than planned. Then it takes no steps that are not timed. */
  readonly isSlow: boolean;
}

/** Why a peer is not measured. */
export interface Refusal {
  readonly version?: string | undefined;
  readonly deviation?: number | undefined;
  readonly reason: string;
}

/** The same network with batches of several sizes. Each one is written at its first use. */
export class Workloads {
  readonly #plan: Plan;
  readonly #folder: string;
  readonly #written = new Map<number, ExpectedLosses>();

  constructor(plan: Plan, folder: string) {
    this.#plan = plan;
    this.#folder = folder;
  }

  async of(batchSize: number): Promise<{ folder: string; expected: ExpectedLosses }> {
    const { model, depth, width, threads, evaluates } = this.#plan;
    const folder = join(this.#folder, `batch-${batchSize}`);
    let expected = this.#written.get(batchSize);
    if (!expected) {
      await mkdir(folder, { recursive: true });
      expected = model
        ? await writeModelWorkload(folder, { model, batchSize, threads })
        : await writeWorkload(folder, { depth, width, batchSize, threads }, evaluates);
      this.#written.set(batchSize, expected);
    }
    return { folder, expected };
  }
}

/**
 * Installs and starts a peer, and compares its first losses. Throws Error with the reason where it does not
 * run.
 */
export async function enter(peer: Peer, plan: Plan, workloads: Workloads): Promise<Entrant | Refusal> {
  const tool = await peer.install();
  const open = async (batchSize: number) => {
    const { folder, expected } = await workloads.of(batchSize);
    const { launcher } = peer;
    const words = [tool, peer.script, folder, ...peer.args(plan.threads)];
    const command = [...(launcher?.words(plan.threads) ?? []), ...words];
    const environment = peerEnvironment(plan.threads);
    const started = await PeerProcess.start(command, environment, LIMIT_MS, launcher?.signals);
    return { ...started, expected: peer.sharesBatch ? expected.shared : expected.whole };
  };
  const batchSize = peer.mayShrink ? await affordableBatch(plan, open) : plan.batchSize;
  const { process, version, expected } = await open(batchSize);
  try {
    const { losses, seconds } = await firstSteps(process);
    const deviation = largestDeviation(losses, expected);
    if (!(deviation <= TOLERANCE)) {
      process.kill();
      const shown = losses.map((loss) => loss.toFixed(4)).join(", ");
      return { version, deviation, reason: `it computes something else: its losses are ${shown}` };
    }
    const turns = affordableTurns(plan, seconds, plan.patience);
    const isSlow = turns.rounds < plan.rounds || turns.steps < plan.steps;
    if (!isSlow) await process.train(warmUpSteps(seconds), LIMIT_MS);
    return { version, batchSize, process, deviation, isSlow, ...turns };
  } catch (error) {
    process.kill();
    throw error;
  }
}

/**
 * The largest batch that a slow peer has time for: the batch of the plan, an eighth of it, an eighth of
 * that, ... The time is estimated from a step of the smallest.
 */
async function affordableBatch(
  { batchSize, patience }: Plan,
  open: (batchSize: number) => Promise<{ process: PeerProcess }>,
): Promise<number> {
  const sizes = [batchSize];
  for (let size = batchSize; size >= SHRINK; sizes.push(size)) size = Math.floor(size / SHRINK);
  const smallest = at(sizes, sizes.length - 1);
  const { process } = await open(smallest);
  try {
    await process.train(1, LIMIT_MS);
    const secondsAnImage = secondsOf(await process.train(1, LIMIT_MS)) / smallest;
    return sizes.find((size) => size * secondsAnImage * (CHECKED_STEPS + 1) <= patience) ?? smallest;
  } finally {
    process.kill();
  }
}

/** Takes the steps whose losses are compared. Returns the losses and the seconds of the last step. */
async function firstSteps(process: PeerProcess): Promise<{ losses: number[]; seconds: number }> {
  const losses: number[] = [];
  let seconds = 0;
  for (let step = 0; step < CHECKED_STEPS; step++) {
    const turn = await process.train(1, LIMIT_MS);
    losses.push(...turn.losses);
    seconds = secondsOf(turn);
  }
  return { losses, seconds };
}

/** The number of steps in about two seconds, in which JavaScript is compiled and memory grows. */
function warmUpSteps(stepSeconds: number): number {
  return Math.max(1, Math.min(30, Math.ceil(2 / stepSeconds)));
}

/** Environment variables that set the threads of the other frameworks, keep them on the CPU and quiet. */
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

/** The seconds that a turn's steps took. */
export function secondsOf({ ms }: Turn): number {
  return ms.reduce((total, time) => total + time, 0) / 1000;
}
