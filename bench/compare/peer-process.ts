import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { platform } from "node:os";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { reasonIn } from "./installs.ts";
import type { Turn } from "./peers/steps.ts";

const GRACE_MS = 5_000;

const versionLine = z.object({ version: z.string() });
const turnLine = z.object({
  ms: z.array(z.number()),
  losses: z.array(z.number()),
  peak_rss_mb: z.number().optional(),
});

/** The signals that stop and kill a peer; SIGCONT continues it. */
export interface PeerSignals {
  readonly stop: NodeJS.Signals;
  readonly kill: NodeJS.Signals;
  /**
   * How long a launcher may take to pass the stop on, in ms. A SIGCONT that comes earlier may be passed on
   * before it, and the peer would stay stopped.
   */
  readonly stopMs: number;
}

const ownSignals: PeerSignals = { stop: "SIGSTOP", kill: "SIGKILL", stopMs: 0 };

/**
 * The process of a peer. It reads numbers of steps from standard input and answers with lines of JSON.
 * Between its turns it is stopped with a signal, so that none of its threads spins.
 */
export class PeerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<unknown>;
  readonly #signals: PeerSignals;
  #output = "";

  private constructor(
    [command = "", ...args]: readonly string[],
    env: NodeJS.ProcessEnv,
    signals: PeerSignals,
  ) {
    this.#signals = signals;
    this.#child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    // a program that cannot be started gives an error and then closes
    this.#closed = once(this.#child, "close").catch((error: Error) => this.#keep(error.message));
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => this.#keep(text));
    // a write to a process that has ended fails; the end of its output reports that it has ended
    this.#child.stdin.on("error", () => undefined);
    running.add(this);
    void this.#closed.then(() => running.delete(this));
  }

  /**
   * Starts a program and waits for its version. Throws Error with the reason that it printed where it ends,
   * and where it does not answer in `limitMs`.
   */
  static async start(
    command: readonly string[],
    env: NodeJS.ProcessEnv,
    limitMs: number,
    signals = ownSignals,
  ): Promise<{ process: PeerProcess; version: string }> {
    const process = new PeerProcess(command, env, signals);
    try {
      const { version } = await process.#answer(versionLine, limitMs);
      return { process, version };
    } catch (error) {
      process.kill();
      throw error;
    }
  }

  /**
   * Continues the process for some steps. Throws Error where they take longer than `limitMs`, and with the
   * reason that it printed where it ends.
   */
  async train(steps: number, limitMs: number): Promise<Turn> {
    this.#signal("SIGCONT");
    this.#child.stdin.write(`${steps}\n`);
    const turn = await this.#answer(turnLine, limitMs);
    const { stop, stopMs } = this.#signals;
    this.#signal(stop);
    await wait(stopMs);
    return turn;
  }

  /** Closes its input, at which it ends. Kills it where it does not end in five seconds. */
  async end(): Promise<void> {
    this.#signal("SIGCONT");
    this.#child.stdin.end();
    const timer = setTimeout(() => this.kill(), GRACE_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  /** Kills it. */
  kill(): void {
    this.#child.kill(this.#signals.kill);
  }

  /** Sends a signal. Windows has no such signals: there the threads of a peer may spin after its turn. */
  #signal(name: NodeJS.Signals): void {
    if (platform() !== "win32") this.#child.kill(name);
  }

  /** The next line of its output that is JSON. Throws Error where it is not the answer expected. */
  async #answer<Answer>(schema: z.ZodType<Answer>, limitMs: number): Promise<Answer> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const line = await this.#nextLine(deadline - performance.now());
      if (!line.startsWith("{")) continue;
      const { success, data } = schema.safeParse(JSON.parse(line));
      if (success) return data;
      throw new Error(`it answered ${line}`);
    }
  }

  async #nextLine(limitMs: number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`it did not answer in ${Math.round(limitMs / 1000)} s`)),
        limitMs,
      );
    });
    try {
      const { done, value } = await Promise.race([this.#lines.next(), silence]);
      if (!done) return value;
    } finally {
      clearTimeout(timer);
    }
    await this.#closed;
    const { exitCode, signalCode } = this.#child;
    if (signalCode) throw new Error(`${signalCode} ended it, as happens where memory is short`);
    throw new Error(reasonIn(this.#output) || `it ended with exit code ${exitCode}`);
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-10_000);
  }
}

const running = new Set<PeerProcess>();

/** Kills every peer that still runs. */
export function killPeers(): void {
  for (const process of running) process.kill();
}
