import { at } from "../../../graph-builder/at.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { type MpiLibrary, textOf } from "./library.ts";

/** A message that is under way. Its memory must not be freed before `isDone` has said so. */
export interface Message {
  readonly peer: number;
  readonly request: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The most bytes of one message: MPI counts them in a signed integer of 32 bits. */
const MOST_BYTES = 2 ** 30;

/** A handle of a request is an integer or a pointer. */
const REQUEST_BYTES = 8;

/**
 * MPI's calls that this project makes, of a library that is started. No call waits for another rank but
 * `finalize`, so the thread that makes them stays free for signals and for the replies of worker threads.
 */
export class Mpi {
  readonly rank: number;
  readonly size: number;
  readonly #calls: ReturnType<typeof callsOf>;

  private constructor(calls: ReturnType<typeof callsOf>) {
    this.#calls = calls;
    this.rank = calls.rank();
    this.size = calls.size();
  }

  /** Starts MPI in this process, which is possible once. Throws UserError where a call fails. */
  static start(library: MpiLibrary): Mpi {
    const calls = callsOf(library);
    calls.init();
    return new Mpi(calls);
  }

  /** Starts to send bytes to a rank, as one message or as several. */
  send(bytes: Uint8Array, peer: number, tag: number): Message[] {
    return this.#post(this.#calls.send, bytes, peer, tag);
  }

  /** Starts to receive as many bytes as there is room for. */
  receive(bytes: Uint8Array, peer: number, tag: number): Message[] {
    return this.#post(this.#calls.receive, bytes, peer, tag);
  }

  /** Whether a message has been sent or received. Once it has, it must not be asked about again. */
  isDone({ request }: Message): boolean {
    return this.#calls.test(request);
  }

  /** Ends MPI in all ranks, which must all call it and have no message under way. */
  finalize(): void {
    this.#calls.finalize();
  }

  /** Ends all ranks at once, this one too, with an exit code. */
  abort(code: number): void {
    this.#calls.abort(code);
  }

  #post(
    call: (bytes: Uint8Array, peer: number, tag: number, request: Uint8Array) => void,
    bytes: Uint8Array,
    peer: number,
    tag: number,
  ): Message[] {
    const messages: Message[] = [];
    for (let from = 0; from < bytes.length; from += MOST_BYTES) {
      const part = bytes.subarray(from, from + MOST_BYTES);
      const request = new Uint8Array(new ArrayBuffer(REQUEST_BYTES));
      call(part, peer, tag, request);
      messages.push({ peer, request, bytes: part });
    }
    return messages;
  }
}

/** The functions of a library as plain functions, which throw UserError where MPI returns an error. */
function callsOf({ native, abi: { handle: H }, handles }: MpiLibrary) {
  const { world, byte, errorsReturn, ignoredStatus } = handles;
  const describe = native.func("int MPI_Error_string(int code, void *text, void *length)");
  const call = (name: string, parameters: string) => {
    const native_ = native.func(`int ${name}(${parameters})`);
    return (...args: readonly unknown[]) => {
      const code = Number(native_(...args));
      if (code === 0) return;
      const reason = textOf((text, length) => describe(code, text, length));
      throw new UserError(`${name} failed: ${reason}.`, {
        code: "mpi-failed",
        details: { call: name, reason },
      });
    };
  };
  const result = new Int32Array(new ArrayBuffer(4));
  const [init, handler] = [
    call("MPI_Init", "void *argc, void *argv"),
    call("MPI_Comm_set_errhandler", `${H} comm, ${H} handler`),
  ];
  const [rank, size] = [
    call("MPI_Comm_rank", `${H} comm, void *rank`),
    call("MPI_Comm_size", `${H} comm, void *size`),
  ];
  const message = `void *bytes, int count, ${H} type, int peer, int tag, ${H} comm, void *request`;
  const [send, receive] = [call("MPI_Isend", message), call("MPI_Irecv", message)];
  const test = call("MPI_Test", "void *request, void *flag, uintptr_t status");
  const [finalize, abort] = [call("MPI_Finalize", "void"), call("MPI_Abort", `${H} comm, int code`)];
  return {
    init() {
      init(null, null);
      handler(world, errorsReturn);
    },
    rank() {
      rank(world, result);
      return at(result, 0);
    },
    size() {
      size(world, result);
      return at(result, 0);
    },
    send: (bytes: Uint8Array, peer: number, tag: number, request: Uint8Array) =>
      send(bytes, bytes.length, byte, peer, tag, world, request),
    receive: (bytes: Uint8Array, peer: number, tag: number, request: Uint8Array) =>
      receive(bytes, bytes.length, byte, peer, tag, world, request),
    test(request: Uint8Array) {
      test(request, result, ignoredStatus);
      return result[0] !== 0;
    },
    finalize: () => finalize(),
    abort: (code: number) => abort(world, code),
  };
}
