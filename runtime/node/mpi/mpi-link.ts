import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { at } from "../../../graph-builder/at.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { gather, type Link } from "../../replicas/ranks.ts";
import type { Launched } from "./launcher.ts";
import { loadMpi } from "./library.ts";
import { type Message, Mpi } from "./mpi.ts";
import { type Farewell, RankError } from "./rank-error.ts";

/** The tags of the messages of an exchange, and of the one message with which a rank ends. */
const [EXCHANGE, FAREWELL] = [1, 2];

/** The bytes of a farewell: JSON, filled with spaces. */
const FAREWELL_BYTES = 4096;

/** An exchange of more bytes than these waits without a pause: the library moves them while it is asked. */
const LARGE = 65_536;

/** Milliseconds without a pause of any exchange, of a large one, and between two looks at the other ranks. */
const [BUSY, LARGE_BUSY, LOOK] = [2, 5000, 100];

/** A rank as it is told to people. */
export interface RankName {
  readonly host: string;
  readonly pid: number;
  /** The same for all processes that can see each other. */
  readonly machine: string;
}

/** What the exchanges of a rank have cost so far. */
export interface Traffic {
  bytesSent: number;
  seconds: number;
}

/**
 * The ranks of a run, connected by MPI's messages from one rank to another. MPI's own collectives could not
 * say which rank they wait for, and their sums may differ with the number of ranks.
 */
export class MpiLink implements Link {
  readonly rank: number;
  readonly size: number;
  readonly traffic: Traffic = { bytesSent: 0, seconds: 0 };
  readonly #mpi: Mpi;
  readonly #launched: Launched;
  #ranks: readonly RankName[] = [];
  /** The messages with which the other ranks end, until they have come. */
  #expected: Message[];
  #announced: readonly Message[] = [];
  readonly #farewells = new Map<number, Farewell>();
  readonly #dead = new Set<number>();
  /** Messages of exchanges that have failed: MPI may still write into their memory. */
  readonly #givenUp: Message[] = [];

  private constructor(mpi: Mpi, launched: Launched) {
    this.#mpi = mpi;
    this.#launched = launched;
    this.rank = mpi.rank;
    this.size = mpi.size;
    this.#expected = this.#others().flatMap((peer) =>
      mpi.receive(new Uint8Array(new ArrayBuffer(FAREWELL_BYTES)), peer, FAREWELL),
    );
  }

  /**
   * Starts MPI and meets the other ranks. Throws UserError where no library of MPI is found, or where the one
   * that is found sees other ranks than the launcher has started.
   */
  static async join(launched: Launched): Promise<MpiLink> {
    const library = await loadMpi(launched.launcher);
    const mpi = Mpi.start(library);
    if (mpi.rank !== launched.rank || mpi.size !== launched.size) {
      const { launcher, rank, size } = launched;
      throw new UserError(
        `${launcher} says that this is rank ${rank} of ${size}, but ${library.version} sees rank ${mpi.rank} of ${mpi.size}: ${adviceFor(launcher)}`,
        {
          code: "mpi-mismatch",
          details: { launcher, rank, size, library: library.version, found: mpi.size },
        },
      );
    }
    const link = new MpiLink(mpi, launched);
    const own: RankName = { host: hostname(), pid: process.pid, machine: machineName() };
    const names = await gather(link, new TextEncoder().encode(JSON.stringify(own)));
    link.#ranks = names.map((bytes): RankName => JSON.parse(new TextDecoder().decode(bytes)));
    return link;
  }

  /** The name of a rank for people, such as "rank 3 of 8 (Slurm, host b)"; this one's where left out. */
  nameOf(rank = this.rank): string {
    const host = this.#ranks[rank]?.host ?? (rank === this.rank ? hostname() : "unknown");
    return `rank ${rank} of ${this.size} (${this.#launched.launcher}, host ${host})`;
  }

  /** The number of hosts, and the place of this rank among those of its host, counted from 0. */
  get place(): { readonly hosts: number; readonly index: number } {
    const own = this.#ranks[this.rank]?.host;
    const before = this.#ranks.slice(0, this.rank);
    return {
      hosts: new Set(this.#ranks.map(({ host }) => host)).size,
      index: before.filter(({ host }) => host === own).length,
    };
  }

  /** Throws RankError where a rank has failed or has died, and UserError where MPI reports an error. */
  async exchange(outgoing: readonly Uint8Array[], incoming: readonly Uint8Array[]): Promise<void> {
    const start = performance.now();
    const peers = this.#others();
    const received = peers.flatMap((peer) => this.#mpi.receive(at(incoming, peer), peer, EXCHANGE));
    const sent = peers.flatMap((peer) => this.#mpi.send(at(outgoing, peer), peer, EXCHANGE));
    const messages = [...received, ...sent];
    const bytes = messages.reduce((sum, message) => sum + message.bytes.length, 0);
    try {
      await this.#finish(messages, start + (bytes > LARGE ? LARGE_BUSY : BUSY));
    } catch (error) {
      this.#givenUp.push(...messages);
      throw error;
    }
    this.traffic.bytesSent += sent.reduce((sum, message) => sum + message.bytes.length, 0);
    this.traffic.seconds += (performance.now() - start) / 1000;
  }

  /** Throws RankError where another rank has failed or has died. Ask it where no exchange is under way. */
  expectAll(): void {
    this.#look();
    for (const [peer, farewell] of this.#farewells) {
      if (farewell.code !== 0) throw new RankError(this.nameOf(peer), farewell, !this.#dead.has(peer));
    }
  }

  /** Tells the other ranks, once, that this one has ended. */
  announce(own: Farewell): void {
    const living = this.#others().filter((peer) => !this.#dead.has(peer));
    this.#announced = living.flatMap((peer) => this.#mpi.send(encodeFarewell(own), peer, FAREWELL));
  }

  /**
   * Waits until the other ranks have ended; where one has failed or died, for `patience` milliseconds at
   * most. Returns the farewells of those that failed, by rank.
   */
  async farewells(own: Farewell, patience: number): Promise<ReadonlyMap<number, Farewell>> {
    const start = performance.now();
    for (;;) {
      this.#look();
      const isFailed = own.code !== 0 || this.failures.size > 0;
      const isLate = isFailed && performance.now() - start > patience;
      if (this.#expected.length === this.#dead.size || isLate) return this.failures;
      await sleep(1);
    }
  }

  /** The farewells of the ranks that have failed or died so far. */
  get failures(): ReadonlyMap<number, Farewell> {
    return new Map([...this.#farewells].filter(([, { code }]) => code !== 0));
  }

  /** Ends MPI: in peace where all ranks have said goodbye, else by ending all of them with an exit code. */
  async end(code: number): Promise<void> {
    if (this.#expected.length > 0) {
      this.#mpi.abort(code);
      return;
    }
    while (!this.#announced.every((message) => this.#mpi.isDone(message))) await sleep(1);
    this.#mpi.finalize();
  }

  #others(): number[] {
    return Array.from({ length: this.size }, (_, peer) => peer).filter((peer) => peer !== this.rank);
  }

  /** Waits for messages: without a pause until `busyUntil`, then with pauses of a millisecond. */
  async #finish(messages: readonly Message[], busyUntil: number): Promise<void> {
    let looked = performance.now();
    let left = messages;
    for (;;) {
      left = left.filter((message) => !this.#mpi.isDone(message));
      if (left.length === 0) return;
      const now = performance.now();
      if (now - looked > LOOK) {
        looked = now;
        this.#expectPresent(left);
      }
      await (now < busyUntil ? setImmediate() : sleep(1));
    }
  }

  /** Throws RankError where a rank has failed, or one has ended whose message is still awaited. */
  #expectPresent(awaited: readonly Message[]): void {
    this.expectAll();
    const gone = awaited.find(({ peer }) => this.#farewells.has(peer));
    if (!gone) return;
    throw new RankError(this.nameOf(gone.peer), { code: 1, reason: "ended before the others" }, false);
  }

  /** Takes the farewells that have come, and finds ranks of this machine that have died. */
  #look(): void {
    this.#expected = this.#expected.filter((message) => {
      if (!this.#mpi.isDone(message)) return true;
      this.#farewells.set(message.peer, decodeFarewell(message.bytes));
      return false;
    });
    const own = this.#ranks[this.rank];
    for (const { peer } of this.#expected) {
      const { machine, pid } = this.#ranks[peer] ?? {};
      if (pid === undefined || machine !== own?.machine || isAlive(pid)) continue;
      this.#dead.add(peer);
      this.#farewells.set(peer, { code: 1, reason: "died" });
    }
  }
}

function encodeFarewell(farewell: Farewell): Uint8Array {
  const { code, reason } = farewell;
  const cut = (length: number) =>
    new TextEncoder().encode(JSON.stringify({ code, reason: reason.slice(0, length) }));
  const long = cut(reason.length);
  // a character has six bytes at most in JSON
  const json = long.length <= FAREWELL_BYTES ? long : cut(Math.floor(FAREWELL_BYTES / 6) - 20);
  const bytes = new Uint8Array(new ArrayBuffer(FAREWELL_BYTES)).fill(0x20);
  bytes.set(json);
  return bytes;
}

function decodeFarewell(bytes: Uint8Array): Farewell {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function adviceFor(launcher: Launched["launcher"]): string {
  return launcher === "Slurm"
    ? "start the ranks with srun --mpi=pmix, or with another type of srun --mpi=list."
    : "start the ranks with the mpirun of that library, or name the launcher's library in SHAKE_MPI_LIBRARY.";
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** The host's name with the name space of its processes: only those of one can be asked whether they live. */
function machineName(): string {
  try {
    return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}
