import type { ErrorData } from "../graph-builder/errors.ts";
import type { ModelCalls, StartEvent } from "./calls/model.ts";
import type { OwnCalls, OwnStep } from "./calls/own.ts";
import type { TrainingCalls, TrainingEvent } from "./calls/training.ts";

/**
 * The functions of the worker that the page calls; each job of the worker declares its own in `calls/`. A
 * UserError arrives as a UserError with its sentence.
 */
export interface Calls extends ModelCalls, TrainingCalls, OwnCalls {}

export type CallName = keyof Calls;
export type CallArguments = { [K in CallName]: Parameters<Calls[K]> };
export type CallResults = { [K in CallName]: Awaited<ReturnType<Calls[K]>> };
/**
 * The same functions as `Calls`, in a form in which TypeScript pairs a name with its arguments and result.
 */
export type CallTable = { readonly [K in CallName]: (...args: CallArguments[K]) => Promise<CallResults[K]> };

/** The first message to the worker: the URLs of ONNX Runtime's files, and the size of its WebAssembly. */
export interface Start {
  readonly type: "start";
  readonly module: string;
  readonly wasm: string;
  readonly bytes: number;
}

/** A call of one of the functions `K`. */
export type CallMessage<K extends CallName = CallName> = {
  [P in K]: {
    readonly type: "call";
    readonly id: number;
    readonly call: P;
    readonly args: CallArguments[P];
  };
}[K];

export type ToWorker = Start | CallMessage;

/** An event of the worker that answers no call. */
export type WorkerEvent = StartEvent | TrainingEvent | OwnStep;

/** The result of a call of one of the functions `K`. */
export type ResultMessage<K extends CallName = CallName> = {
  [P in K]: {
    readonly type: "result";
    readonly id: number;
    readonly call: P;
    readonly result: CallResults[P];
  };
}[K];

/** A call that failed; `mistake` has the code and the details of a UserError. */
export interface ErrorMessage {
  readonly type: "error";
  readonly id: number;
  readonly call: CallName;
  readonly message: string;
  readonly mistake: ErrorData | undefined;
}

export type FromWorker =
  | ResultMessage
  | ErrorMessage
  | { readonly type: "event"; readonly event: WorkerEvent };
