import { didYouMean, UserError } from "../graph-builder/errors.ts";
import { shown } from "../graph-builder/visible.ts";

/** What the system says that a path is. */
export interface PathKind {
  isFIFO(): boolean;
  isSocket(): boolean;
  isCharacterDevice(): boolean;
  isBlockDevice(): boolean;
}

interface NodeFile {
  readFile(): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** The functions of Node's file system that are used here. */
interface NodeFiles {
  stat(path: string): Promise<PathKind>;
  open(path: string, flags: number): Promise<NodeFile>;
  readdir(path: string): Promise<string[]>;
}

interface NodePaths {
  basename(path: string): string;
  dirname(path: string): string;
}

interface NodeModules {
  readonly "node:fs": { readonly constants: Readonly<Record<"O_RDONLY" | "O_NONBLOCK", number>> };
  readonly "node:fs/promises": NodeFiles;
  readonly "node:path": NodePaths;
}

interface NodeProcess {
  getBuiltinModule?<Name extends keyof NodeModules>(name: Name): NodeModules[Name];
}

/** Node's getBuiltinModule needs no import statement, which a bundler for the browser could not resolve. */
const { process } = globalThis as { readonly process?: NodeProcess };

/** Whether files can be read: true in Node, false in a browser. */
export const hasFiles = process?.getBuiltinModule !== undefined;

function builtin<Name extends keyof NodeModules>(name: Name): NodeModules[Name] {
  if (process?.getBuiltinModule) return process.getBuiltinModule(name);
  throw new UserError("There are no files in a browser: give the bytes, or a URL.", {
    code: "file-unreadable",
    details: { reason: "no files" },
  });
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission is missing",
  EAGAIN: "there is nothing to read in it",
  EDQUOT: "the disk quota is used up",
  EFBIG: "it is larger than this system allows",
  EIO: "the device reports an error",
  EISDIR: "it is a folder",
  ERR_FS_EISDIR: "it is a folder",
  EEXIST: "something else has that name",
  ELOOP: "its links lead in a circle",
  EMFILE: "this process has too many open files",
  ENAMETOOLONG: "the name is too long",
  ENFILE: "the system has too many open files",
  ENOENT: "its folder does not exist",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of the path is not a folder",
  EPERM: "permission is missing",
  EROFS: "the file system is read-only",
  ERR_FS_FILE_TOO_LARGE: "it is larger than 2 GiB",
  ERR_INVALID_ARG_VALUE: "the name has a NUL character",
};

/**
 * The bytes of a file, in Node. Throws UserError where it is missing (with the nearest existing name), where
 * it cannot be read, is a device, a FIFO or a socket, and in a browser.
 */
export async function readFileBytes(path: string): Promise<Uint8Array> {
  expectPath(path);
  const { readdir } = builtin("node:fs/promises");
  const { basename, dirname } = builtin("node:path");
  try {
    const { buffer, byteOffset, length } = await readRegularFile(path);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw refusal(path, "read", error);
    const neighbours: readonly string[] = await readdir(dirname(path)).catch(() => []);
    if (neighbours.includes(basename(path)))
      throw refused(path, "read", "it is a link to a file that does not exist", { system: "ENOENT" });
    throw new UserError(`${path} does not exist.${didYouMean(basename(path), neighbours)}`, {
      code: "file-missing",
      details: { path },
    });
  }
}

/** Throws UserError for what is no path, for programs without types. */
export function expectPath(path: unknown): void {
  if (typeof path === "string" && path !== "") return;
  throw new UserError(`A path must be a text, not ${shown(path)}.`, {
    code: "setting-invalid",
    details: { setting: "path" },
  });
}

async function readRegularFile(path: string): Promise<Uint8Array> {
  const { stat, open } = builtin("node:fs/promises");
  const { O_RDONLY, O_NONBLOCK = 0 } = builtin("node:fs").constants;
  refuseSpecial(path, "read", await stat(path));
  // some files of /proc would block until they have something to say
  const file = await open(path, O_RDONLY | O_NONBLOCK);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/**
 * Throws UserError for a device, a FIFO or a socket: reading would wait for ever, and writing would replace
 * it.
 */
export function refuseSpecial(path: string, action: RefusedAction, kind: PathKind): void {
  let reason: string | undefined;
  if (kind.isFIFO()) reason = "it is a FIFO, not a file";
  else if (kind.isSocket()) reason = "it is a socket, not a file";
  else if (kind.isCharacterDevice() || kind.isBlockDevice()) reason = "it is a device, not a file";
  if (reason !== undefined) throw refused(path, action, reason);
}

/** An action on a path that the system refused. */
export type RefusedAction = "read" | "written" | "created" | "removed";

/** A failed system call as a sentence with the path and the reason; other errors as they are. */
export function refusal(path: string, action: RefusedAction, error: unknown): unknown {
  const system = errorCode(error);
  if (system === undefined) return error;
  return refused(path, action, reasonOf(system), { system, cause: error });
}

/** Whether a system call failed because a permission is missing. */
export function isForbidden(error: unknown): boolean {
  return ["EACCES", "EPERM"].includes(errorCode(error) ?? "");
}

/** Why a system call failed, by its error code. */
export function reasonOf(system: string): string {
  return reasons[system] ?? `the system says ${system}`;
}

/** The error that says that a path was refused, and why. */
export function refused(
  path: string,
  action: RefusedAction,
  reason: string,
  { system, cause }: { readonly system?: string; readonly cause?: unknown } = {},
): UserError {
  return new UserError(`${path} cannot be ${action}: ${reason}.`, {
    cause,
    code: action === "read" ? "file-unreadable" : "file-unwritable",
    details: { path, action, system, reason },
  });
}

/** The code of a failed system call, or of a call that Node refused to make; undefined for other errors. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error && "code" in error)) return undefined;
  const code = String(error.code);
  return "syscall" in error || Object.hasOwn(reasons, code) ? code : undefined;
}
