import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { UserError } from "../../../graph-builder/errors.ts";
import { abis } from "./abi.ts";
import { type Environment, type Launched, type LauncherName, launchedBy } from "./launcher.ts";
import { importKoffi, LIBRARY_VARIABLE, loadMpi } from "./library.ts";

/** A program in PATH that starts ranks. */
export interface LauncherProgram {
  readonly path: string;
  /** Which one it is by the text of its version; undefined where that is not known. */
  readonly name: LauncherName | undefined;
  /** What it says of its version. */
  readonly version: string;
}

/** What of MPI there is. A text says in a sentence what is wrong. */
export interface MpiState {
  /** The version of the npm package that calls MPI; undefined where it is not installed. */
  readonly koffi: string | undefined;
  readonly launchers: readonly LauncherProgram[];
  readonly library: { readonly path: string; readonly version: string; readonly abi: string } | string;
  /** A library that belongs to the first launcher, where the loader has found none that fits. */
  readonly beside?: string | undefined;
  /** The place among the ranks that a launcher has started; undefined where none has. */
  readonly ranks: Launched | string | undefined;
}

/** The programs that start ranks, in the order in which they are advised. */
const programs = ["mpirun", "mpiexec", "srun"] as const;

/** Milliseconds that a launcher has to print its version. */
const PATIENCE = 5000;

/**
 * Looks for MPI: the library that a run would load here, the launchers in PATH, and the ranks that one of
 * them has started. Starts nothing but the launchers' `--version`.
 */
export async function mpiState(env: Environment = process.env): Promise<MpiState> {
  const koffi = await importKoffi().catch(() => undefined);
  const launchers = await launchersIn(env);
  const ranks = sentenceInstead(() => launchedBy(env));
  const launcher = typeof ranks === "object" ? ranks.launcher : launchers[0]?.name;
  const library = await libraryFor(launcher, env);
  const beside = typeof library === "string" ? libraryBeside(launchers[0]?.path) : undefined;
  return { koffi: koffi?.version, launchers, library, beside, ranks };
}

/** The library in the folder `lib` next to that of a launcher, as `pip install mpich` lays them out. */
function libraryBeside(launcher: string | undefined): string | undefined {
  if (launcher === undefined) return undefined;
  const folder = join(dirname(launcher), "..", "lib");
  return abis.map(({ library }) => join(folder, library)).find((path) => existsSync(path));
}

async function libraryFor(
  launcher: LauncherName | undefined,
  env: Environment,
): Promise<MpiState["library"]> {
  try {
    const { path, version, abi } = await loadMpi(launcher, env[LIBRARY_VARIABLE]);
    return { path: loadedPath(path), version, abi: abi.name };
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}

/** The file of a loaded library that the system's loader has found by its name; Linux alone tells it. */
function loadedPath(name: string): string {
  if (name.includes("/")) return name;
  try {
    const paths = readFileSync("/proc/self/maps", "utf8").match(/\/.*/gm) ?? [];
    return paths.find((path) => basename(path).startsWith(name)) ?? name;
  } catch {
    return name;
  }
}

async function launchersIn(env: Environment): Promise<LauncherProgram[]> {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const paths = programs.flatMap((name) => {
    const found = folders.map((folder) => join(folder, name)).find(isExecutable);
    return found === undefined ? [] : [found];
  });
  return Promise.all(paths.map((path) => launcherAt(path, env)));
}

async function launcherAt(path: string, env: Environment): Promise<LauncherProgram> {
  const run = promisify(execFile)(path, ["--version"], { timeout: PATIENCE, env: { ...env } });
  const { stdout, stderr } = await run.catch((error: unknown) => ({ stdout: "", stderr: String(error) }));
  const text = `${stdout}\n${stderr}`.trim();
  const name = launcherNamed(text);
  return { path, name, version: versionIn(text, name) };
}

/** The first line of a text; where that has no number, the launcher with the first number of the text. */
function versionIn(text: string, name: LauncherName | undefined): string {
  const [first = ""] = text.split("\n", 1);
  const [number] = /\d+(\.\d+)+\S*/.exec(text) ?? [];
  return name === undefined || number === undefined || /\d/.test(first) ? first.trim() : `${name} ${number}`;
}

/** Which launcher prints a text as its version. */
export function launcherNamed(text: string): LauncherName | undefined {
  if (/Open MPI|OpenRTE|PRRTE/i.test(text)) return "Open MPI";
  if (/HYDRA|MPICH|Intel\(R\) MPI|MVAPICH/i.test(text)) return "MPICH";
  return /^slurm/im.test(text) ? "Slurm" : undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function sentenceInstead<T>(find: () => T): T | string {
  try {
    return find();
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}
