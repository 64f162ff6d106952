import { UserError } from "../../../graph-builder/index.ts";

/** The parts of WebAssembly's interface that are used here; TypeScript declares them for browsers only. */
declare namespace WebAssembly {
  class Memory {
    readonly buffer: ArrayBuffer;
  }
  class Table {
    get(index: number): (...args: readonly number[]) => number;
  }
  class RuntimeError extends Error {}
  class Module {}
  class Instance {
    constructor(module: Module, imports: Imports);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  function compile(bytes: Uint8Array): Promise<Module>;
}

/** The functions of ONNX Runtime's C interface for WebAssembly that are called here. */
type OrtFunction = `_Ort${
  | "Init"
  | "GetLastError"
  | "CreateSessionOptions"
  | "ReleaseSessionOptions"
  | "CreateRunOptions"
  | "ReleaseRunOptions"
  | "CreateTensor"
  | "GetTensorData"
  | "ReleaseTensor"
  | "Free"
  | `Training${
      | "LoadCheckpoint"
      | "ReleaseCheckpoint"
      | "CreateSession"
      | "ReleaseSession"
      | "LazyResetGrad"
      | "RunTrainStep"
      | "OptimizerStep"
      | "EvalStep"
      | "GetParametersSize"
      | "CopyParametersToBuffer"
      | "CopyParametersFromBuffer"
      | "GetModelInputOutputCount"
      | "GetModelInputOutputName"}`}`;

type Argument = number | boolean;

/** The module that Emscripten's factory returns; pointers and handles are numbers. */
type EmscriptenModule = Readonly<Record<OrtFunction, (...args: readonly Argument[]) => number>> & {
  _malloc(size: number): number;
  _free(pointer: number): void;
  stackSave(): number;
  stackRestore(stack: number): void;
  stackAlloc(size: number): number;
  UTF8ToString(pointer: number): string;
};

type Factory = (options: {
  readonly numThreads: number;
  readonly instantiateWasm: (
    imports: WebAssembly.Imports,
    receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => unknown,
  ) => unknown;
}) => Promise<EmscriptenModule>;

const PACKAGE = "onnxruntime-web-training";
const FILE = "ort-training-wasm-simd-threaded";
/** The level of ONNX Runtime's log; failures are reported as errors. */
export const FATAL = 4;

/**
 * The loaded modules by number of threads: ONNX Runtime has one environment with one thread pool per module.
 */
const modules = new Map<number, Promise<WasmModule>>();

/**
 * ONNX Runtime 1.19.2's training build in WebAssembly: its functions, its memory and its errors. Calls are
 * synchronous.
 */
export class WasmModule {
  readonly #module: EmscriptenModule;
  readonly #memory: WebAssembly.Memory;
  readonly #functions: WebAssembly.Table;
  readonly #threads: number;

  private constructor(
    module: EmscriptenModule,
    memory: WebAssembly.Memory,
    functions: WebAssembly.Table,
    threads: number,
  ) {
    this.#module = module;
    this.#memory = memory;
    this.#functions = functions;
    this.#threads = threads;
  }

  /**
   * Returns the module with `threads` threads. It stays loaded; its idle threads do not keep the process
   * alive.
   * Throws UserError, saying how to get it, where the optional package is not installed.
   */
  static load(threads: number): Promise<WasmModule> {
    const loading = modules.get(threads) ?? WasmModule.#open(threads);
    modules.set(threads, loading);
    loading.catch(() => modules.delete(threads));
    return loading;
  }

  static async #open(threads: number): Promise<WasmModule> {
    const folder = packageFolder();
    const { readFile } = await import("node:fs/promises");
    const compiled = await WebAssembly.compile(await readFile(new URL(`${FILE}.wasm`, folder)));
    const { default: factory } = (await import(new URL(`${FILE}.mjs`, folder).href)) as { default: Factory };
    let memory: WebAssembly.Memory | undefined;
    let functions: WebAssembly.Table | undefined;
    // instantiated here because the factory does not expose the memory and the function table
    const module = await factory({
      numThreads: threads,
      instantiateWasm: (imports, receive) => {
        const instance = new WebAssembly.Instance(compiled, imports);
        const imported = Object.values(imports).flatMap((group) => Object.values(group));
        memory = imported.find((value) => value instanceof WebAssembly.Memory);
        functions = Object.values(instance.exports).find((value) => value instanceof WebAssembly.Table);
        return receive(instance, compiled);
      },
    });
    if (!memory || !functions) throw new Error(`${FILE}.wasm has no memory or no table of functions`);
    const opened = new WasmModule(module, memory, functions, threads);
    opened.check("_OrtInit", threads, FATAL);
    return opened;
  }

  /** Calls a function without a result. */
  call(name: OrtFunction, ...args: readonly Argument[]): void {
    this.#call(name, args);
  }

  /**
   * Calls a function that returns zero where it succeeds. Throws UserError with ONNX Runtime's sentence where
   * it does not.
   */
  check(name: OrtFunction, ...args: readonly Argument[]): void {
    if (this.#call(name, args) !== 0) throw this.#lastError(name);
  }

  /**
   * Calls a function that returns a pointer or a handle. Throws UserError with ONNX Runtime's sentence where
   * it returns none.
   */
  create(name: OrtFunction, ...args: readonly Argument[]): number {
    const handle = this.#call(name, args) >>> 0;
    if (handle === 0) throw this.#lastError(name);
    return handle;
  }

  /**
   * Copies bytes into the module's memory; `free` releases them. Throws UserError where the memory is
   * full.
   */
  store(bytes: Uint8Array): number {
    // an empty tensor too needs an address other than zero
    const pointer = this.#module._malloc(Math.max(1, bytes.byteLength));
    if (pointer === 0) throw new UserError(`${OUT_OF_MEMORY}.`, { code: "onnxruntime-failed" });
    new Uint8Array(this.#memory.buffer).set(bytes, pointer);
    return pointer;
  }

  /** Copies unsigned 32-bit words into the module's memory, as `store` does with bytes. */
  storeWords(words: readonly number[]): number {
    return this.store(new Uint8Array(Uint32Array.from(words).buffer));
  }

  free(pointer: number): void {
    this.#module._free(pointer);
  }

  /** A copy of bytes in the module's memory. */
  bytes(pointer: number, size: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer).slice(pointer, pointer + size);
  }

  /** Calls `write` with the addresses of `count` unsigned 32-bit words, and returns these words. */
  words(count: number, write: (place: (index: number) => number) => void): number[] {
    const stack = this.#module.stackSave();
    try {
      const pointer = this.#module.stackAlloc(4 * count);
      write((index) => pointer + 4 * index);
      return this.wordsAt(pointer, count);
    } finally {
      this.#module.stackRestore(stack);
    }
  }

  /** Unsigned 32-bit words in the module's memory. */
  wordsAt(pointer: number, count: number): number[] {
    return [...new Uint32Array(this.#memory.buffer, pointer, count)];
  }

  /** A zero-terminated text in the module's memory. */
  text(pointer: number): string {
    return this.#module.UTF8ToString(pointer);
  }

  #call(name: OrtFunction, args: readonly Argument[]): number {
    const stack = this.#module.stackSave();
    try {
      return this.#module[name](...args);
    } catch (error) {
      // a C++ exception unwinds no frame, so its mutexes stay locked: new sessions get a new module
      modules.delete(this.#threads);
      this.#module.stackRestore(stack);
      throw this.#thrown(name, error);
    }
  }

  #lastError(name: OrtFunction): UserError {
    const [, message = 0] = this.words(2, (place) => this.#call("_OrtGetLastError", [place(0), place(1)]));
    return failure(name, this.text(message));
  }

  /**
   * The module is linked without catch: a C++ exception arrives as its address, and an abort as a
   * RuntimeError.
   */
  #thrown(name: OrtFunction, error: unknown): unknown {
    if (typeof error === "number") return failure(name, this.#what(error));
    return error instanceof WebAssembly.RuntimeError ? failure(name, OUT_OF_MEMORY, error) : error;
  }

  /**
   * The text of a C++ exception, by the Itanium C++ ABI: std::exception's what() is the third of its virtual
   * functions.
   */
  #what(exception: number): string {
    const [type = 0] = this.wordsAt(exception - 20, 1);
    if (!this.#derivesFromException(type)) return "";
    const [functions = 0] = this.wordsAt(exception, 1);
    const [what = 0] = this.wordsAt(functions + 8, 1);
    return this.text(this.#functions.get(what)(exception));
  }

  /**
   * Follows single inheritance: a type_info's words are its virtual functions, its name, and its base's
   * type_info.
   */
  #derivesFromException(type: number): boolean {
    const [, name = 0, base = 0] = this.wordsAt(type, 3);
    const known = this.text(name);
    if (known === "St9exception") return true;
    const isDerived = known.startsWith("N") || known.startsWith("St");
    return isDerived && base !== 0 && base % 4 === 0 && this.#derivesFromException(base);
  }
}

const OUT_OF_MEMORY = "WebAssembly's 4 GiB of memory may be full: take a smaller batch";

function failure(name: OrtFunction, message: string, cause?: unknown): UserError {
  // some messages start with a file and line of ONNX Runtime's sources
  const reason = message
    .replace(/^\/\S+:\d+ .*?\) ?(?=\S)/, "")
    .replace(/\s+/g, " ")
    .trim();
  const what =
    reason || "it threw an exception without a text; most often a model was made for another version";
  return new UserError(`ONNX Runtime's ${name.replace("_Ort", "")} failed: ${what}`, {
    cause,
    code: "onnxruntime-failed",
    details: { call: name, reason: what },
  });
}

/** The folder of the package's files, as a URL: its exports do not list the module. */
function packageFolder(): URL {
  try {
    return new URL("./", import.meta.resolve(PACKAGE));
  } catch (error) {
    throw new UserError(
      `ONNX Runtime's own training is not installed: npm install ${PACKAGE}@npm:onnxruntime-web@1.19.2.`,
      { cause: error, code: "package-missing", details: { package: PACKAGE } },
    );
  }
}
