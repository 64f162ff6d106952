import { UserError } from "../../graph-builder/errors.ts";
import type { DeviceName } from "../calls/model.ts";
import type {
  CallMessage,
  CallName,
  Calls,
  CallTable,
  ErrorMessage,
  FromWorker,
  ResultMessage,
  ToWorker,
  WorkerEvent,
} from "../protocol.ts";
import { loadOnnxRuntime } from "./devices.ts";
import { modelJob } from "./model-job.ts";
import { ownJob } from "./own-job.ts";
import { Queue } from "./queue.ts";
import { trainingJob } from "./training-job.ts";

const queue = new Queue();
/** The device that the page has chosen. */
let chosen: DeviceName = "wasm";

/** The functions of all jobs. A new job needs a line here and its functions in `protocol.ts`. */
const calls: Calls = {
  ...modelJob(queue, (device) => {
    chosen = device;
  }),
  ...trainingJob(queue, tell),
  ...ownJob(queue, tell, () => chosen),
};

function post(message: FromWorker): void {
  globalThis.postMessage(message);
}

function tell(event: WorkerEvent): void {
  post({ type: "event", event });
}

async function answer(message: CallMessage): Promise<void> {
  try {
    await ready;
    post(await resultOf(message));
  } catch (error) {
    post(errorMessage(message, error));
  }
}

function resultOf<K extends CallName>({ id, call, args }: CallMessage<K>): Promise<ResultMessage<K>> {
  const table: CallTable = calls;
  return table[call](...args).then((result) => ({ type: "result", id, call, result }));
}

function errorMessage({ id, call }: CallMessage, error: unknown): ErrorMessage {
  const message = error instanceof Error ? error.message : String(error);
  const mistake = error instanceof UserError ? { code: error.code, details: error.details } : undefined;
  return { type: "error", id, call, message, mistake };
}

let ready: Promise<void> = Promise.reject(new Error("the page has sent no start message"));
ready.catch(() => undefined);

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "call") {
    void answer(data);
    return;
  }
  ready = loadOnnxRuntime(data, tell);
  // every call that waits for it rejects with the same error
  ready.catch(() => undefined);
});
