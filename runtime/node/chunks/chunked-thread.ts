import { Worker } from "node:worker_threads";
import * as ort from "onnxruntime-common";
import { type Checkpoint, decodeCheckpoint } from "../../../artifacts/checkpoint.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { DeviceName } from "../../device/names.ts";
import { namedTensors, type PlainTensors, stackFeeds } from "../../replicas/shares.ts";
import { CallGuard } from "../../session/call-guard.ts";
import type { ChunkSettings } from "../../session/chunked-session.ts";
import {
  readSources,
  type TrainingSessionCreateOptions,
  type TrainingSources,
} from "../../session/sources.ts";
import type { ChunkTrainer } from "../../session/trainer.ts";
import type { NamedTensors } from "../../session/training-session.ts";
import { type AverageStep, expectAverageStep } from "../../session/weight-averages.ts";
import type { ModelCache } from "../compiled/model-cache.ts";
import { mistakeIn } from "../thread-reply.ts";
import type { ChunkReply, ChunkRequest } from "./chunk-worker.ts";

/** The settings of a ChunkedThread, and the device that it opens. */
export interface ChunkedThreadOptions extends ChunkSettings {
  readonly device: DeviceName;
  /** CPU threads of the session; all cores where left out. */
  readonly threads?: number | undefined;
  /** Keeps the compiled chunk for the next session of the same artifacts; none where left out. */
  readonly cache?: ModelCache | undefined;
  /** The script of the worker, for a bundler that moves it. */
  readonly worker?: URL | undefined;
}

/**
 * A ChunkedSession in a worker thread: onnxruntime-node's `run` blocks the thread that calls it, so that only
 * another thread can make the next feeds while a GPU computes. A thread that dies ends the session. Calls
 * that overlap are refused, and so is every call after the release.
 */
export class ChunkedThread implements ChunkTrainer {
  readonly stepsPerCall: number;
  readonly #guard = new CallGuard();
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #waiting: { resolve(reply: ChunkReply): void; reject(error: unknown): void } | undefined;
  #death: UserError | undefined;

  private constructor(worker: Worker, stepsPerCall: number) {
    this.stepsPerCall = stepsPerCall;
    this.#worker = worker;
    worker.on("message", (reply: ChunkReply) => this.#settle((waiting) => waiting.resolve(reply)));
    worker.on("messageerror", (error) => this.#die(error.message));
    worker.on("error", (error) => this.#die(error instanceof Error ? error.message : String(error)));
    this.#exited = new Promise((resolve) => worker.on("exit", () => resolve()));
    worker.on("exit", (code) => this.#die(`it ended with exit code ${code}`));
  }

  /**
   * Opens artifacts on a device in a thread of its own. Throws UserError as ChunkedSession does, and where
   * this machine lacks the device.
   */
  static async create(
    given: TrainingSources | TrainingSessionCreateOptions,
    {
      device,
      threads,
      cache,
      worker = new URL("./chunk-worker.js", import.meta.url),
      ...settings
    }: ChunkedThreadOptions,
  ): Promise<ChunkedThread> {
    const sources = await readSources(given);
    const thread = new ChunkedThread(new Worker(worker, { name: "training" }), settings.stepsPerCall ?? 8);
    try {
      await thread.#ask({
        method: "open",
        setup: { sources, device, threads, settings, cache: cache?.folder },
      });
      return thread;
    } catch (error) {
      await thread.release();
      throw error;
    }
  }

  /** The feeds of several steps as those of one call: each tensor with a new first axis `steps`. */
  stack(steps: readonly NamedTensors[]): NamedTensors {
    return stackFeeds(steps, ort);
  }

  /**
   * Takes steps as ChunkedSession does. The memory of the feeds moves to the thread: they cannot be read any
   * more. Throws UserError for feeds that an earlier call has moved.
   */
  async runSteps(feeds: NamedTensors, learningRates: Float32Array): Promise<NamedTensors> {
    return this.#guard.run("runSteps", async () => {
      const plain: PlainTensors = Object.fromEntries(
        Object.entries(feeds).map(([name, { type, dims, data }]) => {
          if (Array.isArray(data)) throw new TypeError(`${name} has no numbers`);
          expectHere(name, data, dims);
          return [name, { type, dims, data }];
        }),
      );
      const buffers = new Set(
        Object.values(plain).flatMap(({ data: { buffer } }) =>
          buffer instanceof ArrayBuffer ? [buffer] : [],
        ),
      );
      const request = { method: "runSteps", feeds: plain, learningRates } as const;
      const outputs = await this.#ask(request, [...buffers]);
      if (!outputs || outputs instanceof Uint8Array) throw new TypeError("a step has no outputs");
      return namedTensors(outputs, ort);
    });
  }

  /** Lets the running averages follow the weights, as ChunkedSession does. */
  async averageWeights(step: AverageStep): Promise<void> {
    expectAverageStep(step);
    return this.#guard.run("averageWeights", async () => {
      await this.#ask({ method: "averageWeights", step });
    });
  }

  /** The state as a checkpoint. */
  async checkpoint(): Promise<Checkpoint> {
    return this.#guard.run("checkpoint", async () => {
      const bytes = await this.#ask({ method: "checkpoint" });
      if (!(bytes instanceof Uint8Array)) throw new TypeError("a checkpoint has no bytes");
      return decodeCheckpoint(bytes, "checkpoint");
    });
  }

  /** Ends the thread after the call under way. Throws UserError where it was released before. */
  async release(): Promise<void> {
    await this.#guard.close();
    this.#worker.postMessage({ method: "close" } satisfies ChunkRequest);
    await this.#exited;
  }

  async #ask(request: ChunkRequest, moved: readonly ArrayBuffer[] = []) {
    if (this.#death) throw this.#death;
    const reply = await new Promise<ChunkReply>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#worker.postMessage(request, moved);
    });
    if ("result" in reply) return reply.result;
    throw reply.mistake ? mistakeIn(reply.mistake, reply.error) : reply.error;
  }

  #settle(settle: (waiting: { resolve(reply: ChunkReply): void; reject(error: unknown): void }) => void) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) settle(waiting);
  }

  #die(reason: string): void {
    this.#death ??= new UserError(`The thread that trains has died: ${reason}.`, {
      code: "thread-died",
      details: { reason },
    });
    const death = this.#death;
    this.#settle((waiting) => waiting.reject(death));
  }
}

/** A moved tensor has no elements left. The thread could not even receive it, and would never answer. */
function expectHere(name: string, data: { readonly length: number }, dims: readonly number[]): void {
  if (data.length > 0 || dims.includes(0)) return;
  throw new UserError(`The input ${name} was moved to the thread by an earlier call: give new tensors.`, {
    code: "input-value",
    details: { input: name, shape: dims },
  });
}
