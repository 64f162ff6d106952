import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { platform } from "node:os";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { reasonIn } from "./installs.ts";
import type { Turn } from "./peers/steps.ts";

const GRACE_MS = 5_000;

/** A peer's process, which keeps still as long as it is not asked: it is stopped between its turns, so that no thread of it spins. */
export class PeerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<unknown>;
  #words = "";

  private constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    // one that cannot be started closes too
    this.#closed = once(this.#child, "close").catch((error: Error) => this.#say(error.message));
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => this.#say(text));
    // one that has died takes no more questions, and says so by the end of its answers
    this.#child.stdin.on("error", () => undefined);
    running.add(this);
    void this.#closed.then(() => running.delete(this));
  }

  /** Starts a program, which says its version first. Throws Error, with its last words, where it ends or says nothing for `limitMs`. */
  static async start(
    [command = "", ...args]: readonly string[],
    env: NodeJS.ProcessEnv,
    limitMs: number,
  ): Promise<{ process: PeerProcess; version: string }> {
    const process = new PeerProcess(command, args, env);
    try {
      const { version } = (await process.#answer(limitMs)) as { version: string };
      return { process, version };
    } catch (error) {
      process.kill();
      throw error;
    }
  }

  /** Wakes it for some steps. Throws Error where they take longer than `limitMs`, and with its last words where it ends. */
  async train(steps: number, limitMs: number): Promise<Turn> {
    this.#signal("SIGCONT");
    this.#child.stdin.write(`${steps}\n`);
    const turn = (await this.#answer(limitMs)) as Turn;
    this.#signal("SIGSTOP");
    return turn;
  }

  /** Lets it end by itself, or ends it where it does not. */
  async end(): Promise<void> {
    this.#signal("SIGCONT");
    this.#child.stdin.end();
    const timer = setTimeout(() => this.kill(), GRACE_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Windows has no such signals: there a peer's threads may spin for a while after its turn. */
  #signal(name: "SIGCONT" | "SIGSTOP"): void {
    if (platform() !== "win32") this.#child.kill(name);
  }

  /** The next line of its output that is an answer. */
  async #answer(limitMs: number): Promise<unknown> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const line = await this.#nextLine(deadline - performance.now());
      if (line.startsWith("{")) return JSON.parse(line);
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
    if (signalCode) throw new Error(`it was ended by ${signalCode}, as where memory is short`);
    throw new Error(reasonIn(this.#words) || `it ended with exit code ${exitCode}`);
  }

  #say(text: string): void {
    this.#words = (this.#words + text).slice(-10_000);
  }
}

const running = new Set<PeerProcess>();

/** Ends every peer that still runs. */
export function killPeers(): void {
  for (const process of running) process.kill();
}
