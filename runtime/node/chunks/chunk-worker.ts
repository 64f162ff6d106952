import { parentPort } from "node:worker_threads";
import type { DeviceName } from "../../device/names.ts";
import { namedTensors, type PlainTensors, plainTensors } from "../../replicas/shares.ts";
import { ChunkedSession, type ChunkSettings } from "../../session/chunked-session.ts";
import type { TrainingSources } from "../../session/sources.ts";
import type { AverageStep } from "../../session/weight-averages.ts";
import { ModelCache } from "../compiled/model-cache.ts";
import { openDevice } from "../devices.ts";
import { replyOf, type ThreadReply } from "../thread-reply.ts";

/** What the session of the thread is opened with. */
export interface ChunkThreadSetup {
  readonly sources: TrainingSources<Uint8Array>;
  readonly device: DeviceName;
  readonly threads: number | undefined;
  readonly settings: ChunkSettings;
  /** The folder of the cache of compiled models. */
  readonly cache: string | undefined;
}

/** The requests that the thread answers, one at a time. The first is `open`. */
export type ChunkRequest =
  | { readonly method: "open"; readonly setup: ChunkThreadSetup }
  | { readonly method: "runSteps"; readonly feeds: PlainTensors; readonly learningRates: Float32Array }
  | { readonly method: "averageWeights"; readonly step: AverageStep }
  | { readonly method: "checkpoint" }
  | { readonly method: "close" };

export type ChunkReply = ThreadReply<PlainTensors | Uint8Array | undefined>;

let opened: { readonly session: ChunkedSession; readonly device: Awaited<ReturnType<typeof openDevice>> };

async function resultOf(request: ChunkRequest): Promise<PlainTensors | Uint8Array | undefined> {
  switch (request.method) {
    case "open": {
      const { sources, device: name, threads, settings, cache: folder } = request.setup;
      const device = await openDevice(name, { threads });
      const cache = folder === undefined ? undefined : new ModelCache(folder);
      opened = { device, session: await ChunkedSession.create(sources, device, { ...settings, cache }) };
      return undefined;
    }
    case "runSteps": {
      const { session, device } = opened;
      const feeds = namedTensors(request.feeds, device.ort);
      return plainTensors(await session.runSteps(feeds, request.learningRates));
    }
    case "averageWeights":
      opened.session.averageWeights(request.step);
      return undefined;
    case "checkpoint":
      return opened.session.saveCheckpoint();
    case "close":
      return process.exit();
  }
}

parentPort?.on("message", async (request: ChunkRequest) =>
  parentPort?.postMessage(await replyOf(() => resultOf(request))),
);
