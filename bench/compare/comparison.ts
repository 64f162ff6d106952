import { type Entrant, enter, LIMIT_MS, type Refusal, secondsOf, Workloads } from "./entrants.ts";
import { waitForQuiet } from "./foreign-load.ts";
import type { Plan } from "./options.ts";
import type { Peer } from "./peers.ts";

interface Named {
  readonly name: string;
  readonly label: string;
}

/** The measurements of a peer. */
export interface Measured extends Named, Pick<Entrant, "version" | "batchSize" | "deviation"> {
  /** Images per second in each round. */
  readonly rates: readonly number[];
  /** Timed steps of all rounds. */
  readonly steps: number;
  readonly peakRssMb: number | undefined;
  /** The largest share of all cores that other programs used just before one of its turns. */
  readonly foreignLoad: number;
}

/** A peer that was not measured, and why. */
export interface Refused extends Named, Refusal {}

export type Row = Measured | Refused;

type Tell = (line: string) => void;

/** A wait for a quiet machine takes at most this part of a peer's time. */
const WAITS = 6;

/**
 * Runs a comparison. `folder` holds temporary files; `tell` gets a line about each stage. The rows are in the
 * order of the peers. Throws UserError for a network that does not exist.
 */
export async function compare(
  plan: Plan,
  peers: Readonly<Record<string, Peer>>,
  folder: string,
  tell: Tell,
): Promise<Row[]> {
  const workloads = new Workloads(plan, folder);
  await workloads.of(plan.batchSize);
  const standings: Standing[] = [];
  for (const [name, peer] of Object.entries(peers)) {
    tell(name);
    const named = { name, label: peer.label };
    const result = await enter(peer, plan, workloads).catch((error: unknown) => ({
      reason: messageOf(error),
    }));
    if ("reason" in result) tell(`${name}: ${result.reason}`);
    standings.push("reason" in result ? { ...named, ...result } : new Participant(named, result));
  }
  const participants = standings.filter((standing) => standing instanceof Participant);
  for (let round = 0; round < plan.rounds; round++) {
    tell(`round ${round + 1} of ${plan.rounds}`);
    // each round starts with another peer
    const first = round % Math.max(1, participants.length);
    for (const participant of [...participants.slice(first), ...participants.slice(0, first)]) {
      await participant.takeTurn(round, plan.patience / WAITS);
    }
  }
  return Promise.all(
    standings.map((standing) => (standing instanceof Participant ? standing.end() : standing)),
  );
}

type Standing = Participant | Refused;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A peer that takes part in the rounds. */
class Participant {
  readonly #named: Named;
  readonly #entrant: Entrant;
  readonly #rates: number[] = [];
  #steps = 0;
  #peakRssMb: number | undefined;
  #foreignLoad = 0;
  #reason: string | undefined;

  constructor(named: Named, entrant: Entrant) {
    this.#named = named;
    this.#entrant = entrant;
  }

  /**
   * Takes the steps of a turn, unless the peer has failed or has no more turns. First it waits until the
   * machine is quiet, but no longer than `patience` seconds, and takes one step that is not timed, which
   * fills the caches.
   */
  async takeTurn(round: number, patience: number): Promise<void> {
    const { process, batchSize, steps, rounds, isSlow } = this.#entrant;
    if (round >= rounds || this.#reason !== undefined) return;
    try {
      this.#foreignLoad = Math.max(this.#foreignLoad, await waitForQuiet(patience));
      if (!isSlow) await process.train(1, LIMIT_MS);
      const turn = await process.train(steps, LIMIT_MS);
      this.#rates.push((batchSize * steps) / secondsOf(turn));
      this.#steps += steps;
      this.#peakRssMb = turn.peak_rss_mb;
    } catch (error) {
      process.kill();
      this.#reason = messageOf(error);
    }
  }

  async end(): Promise<Row> {
    const { process, version, batchSize, deviation } = this.#entrant;
    await process.end();
    const known = { ...this.#named, version, deviation };
    if (this.#reason !== undefined) return { ...known, reason: this.#reason };
    return {
      ...known,
      ...{ batchSize, rates: this.#rates, steps: this.#steps },
      ...{ peakRssMb: this.#peakRssMb, foreignLoad: this.#foreignLoad },
    };
  }
}
