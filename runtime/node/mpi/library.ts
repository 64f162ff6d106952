import { UserError } from "../../../graph-builder/errors.ts";
import { type Abi, abis, type Handles, isStartedBy } from "./abi.ts";
import type { LauncherName } from "./launcher.ts";

/** The environment variable that names the library of MPI. */
export const LIBRARY_VARIABLE = "SHAKE_MPI_LIBRARY";

/** The longest text of MPI_Get_library_version and MPI_Error_string in any of the interfaces. */
const MOST_TEXT = 8192;

type Koffi = typeof import("koffi");
type NativeLibrary = ReturnType<Koffi["load"]>;

/** A library of MPI that is loaded, and not started. */
export interface MpiLibrary {
  readonly path: string;
  /** How the library calls itself, with its version. */
  readonly version: string;
  readonly abi: Abi;
  readonly handles: Handles;
  readonly native: NativeLibrary;
}

/**
 * Loads the library of MPI that SHAKE_MPI_LIBRARY names, else the first that the system's loader finds and
 * that the launcher can start. Throws UserError where there is none.
 */
export async function loadMpi(
  launcher?: LauncherName,
  named = process.env[LIBRARY_VARIABLE],
): Promise<MpiLibrary> {
  const koffi = await importKoffi();
  const others: string[] = [];
  for (const abi of candidates(named)) {
    const native = tryLoad(koffi, named || abi.library);
    if (!native) continue;
    const handles = handlesOf(native, abi);
    if (!handles) continue;
    const version = versionOf(native);
    if (launcher === undefined || isStartedBy(version, launcher)) {
      return { path: named || abi.library, version, abi, handles, native };
    }
    others.push(version);
  }
  throw missing(launcher, named, others);
}

/** A path has no name that tells its interface, so all of them are tried, Open MPI's symbols first. */
function candidates(named: string | undefined): readonly Abi[] {
  if (!named) return abis;
  const own = abis.filter(({ library }) => named.includes(library.replace(/\.so.*/, ".so")));
  const isStandard = named.includes("libmpi_abi");
  return [...own.filter(({ library }) => isStandard === library.includes("libmpi_abi")), ...abis];
}

/** Loads the npm package that calls MPI. Throws UserError where it is not installed. */
export async function importKoffi(): Promise<Koffi> {
  try {
    return await import("koffi");
  } catch (cause) {
    throw new UserError(
      "MPI is called through the npm package koffi, which is not installed: npm install koffi.",
      {
        code: "package-missing",
        details: { package: "koffi" },
        cause,
      },
    );
  }
}

function tryLoad(koffi: Koffi, path: string): NativeLibrary | undefined {
  try {
    return koffi.load(path);
  } catch {
    return undefined;
  }
}

/** The constants of a library; undefined where it lacks the symbols of the interface. */
function handlesOf(native: NativeLibrary, { handles }: Abi): Handles | undefined {
  if ("ignoredStatus" in handles) return handles;
  const address = (name: string): bigint => native.symbol(name);
  try {
    const { world, byte, errorsReturn } = handles;
    return {
      world: address(world),
      byte: address(byte),
      errorsReturn: address(errorsReturn),
      ignoredStatus: 0n,
    };
  } catch {
    return undefined;
  }
}

/** The text of a call that writes one, with its length behind it. */
export function textOf(call: (text: Uint8Array, length: Int32Array) => unknown): string {
  const [text, length] = [new Uint8Array(new ArrayBuffer(MOST_TEXT)), new Int32Array(new ArrayBuffer(4))];
  call(text, length);
  return new TextDecoder().decode(text.subarray(0, length[0])).replaceAll("\0", "").trim();
}

function versionOf(native: NativeLibrary): string {
  const call = native.func("int MPI_Get_library_version(void *version, void *length)");
  // the first line, without what the packager adds
  const [name = ""] = textOf((text, length) => call(text, length)).split(/\n|, /);
  return name.replace(/\s+/g, " ");
}

function missing(
  launcher: LauncherName | undefined,
  named: string | undefined,
  others: readonly string[],
): UserError {
  const versions = [...new Set(others)].join("; ");
  const names = abis.map(({ library }) => library).join(", ");
  const advice = `is found (${names}): install one, or name its path in ${LIBRARY_VARIABLE}.`;
  const fault = versions
    ? `${versions}, which ${launcher} cannot start`
    : "no library of MPI that can be loaded";
  const sentence = named
    ? `${named}, which ${LIBRARY_VARIABLE} names, is ${fault}: name another.`
    : versions
      ? `${launcher} cannot start ${versions}, and no other library of MPI ${advice}`
      : `No library of MPI ${advice}`;
  return new UserError(sentence, {
    code: "mpi-missing",
    details: { launcher, path: named, found: [...new Set(others)] },
  });
}
