import { didYouMean, UserError } from "../graph-builder/errors.ts";

/** The functions of Node's file system that are used here. */
interface NodeFiles {
  readFile(path: string): Promise<Uint8Array>;
  readdir(path: string): Promise<string[]>;
}

interface NodePaths {
  basename(path: string): string;
  dirname(path: string): string;
}

interface NodeModules {
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
  EDQUOT: "the disk quota is used up",
  EISDIR: "it is a folder",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "its folder does not exist",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of the path is not a folder",
  EPERM: "permission is missing",
  EROFS: "the file system is read-only",
};

/**
 * The bytes of a file, in Node. Throws UserError where it is missing (with the nearest existing name), where
 * it cannot be read, and in a browser.
 */
export async function readFileBytes(path: string): Promise<Uint8Array> {
  const { readFile, readdir } = builtin("node:fs/promises");
  const { basename, dirname } = builtin("node:path");
  try {
    const { buffer, byteOffset, length } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw refusal(path, "read", error);
    const neighbours = await readdir(dirname(path)).catch(() => []);
    throw new UserError(`${path} does not exist.${didYouMean(basename(path), neighbours)}`, {
      code: "file-missing",
      details: { path },
    });
  }
}

/** An action on a path that the system refused. */
export type RefusedAction = "read" | "written" | "created";

/** A failed system call as a sentence with the path and the reason; other errors as they are. */
export function refusal(path: string, action: RefusedAction, error: unknown): unknown {
  const system = errorCode(error);
  if (system === undefined) return error;
  const reason = reasons[system] ?? `the system says ${system}`;
  return new UserError(`${path} cannot be ${action}: ${reason}.`, {
    cause: error,
    code: action === "read" ? "file-unreadable" : "file-unwritable",
    details: { path, action, system, reason },
  });
}

/** The code of a failed system call; undefined for other errors. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error && "syscall" in error && "code" in error)) return undefined;
  return String(error.code);
}
