import { existsSync, realpathSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { quoted } from "../runtime/node/shell-word.ts";

const PACKAGE = "shakenet";
const BINS: readonly string[] = ["shake", "shakenet"];

/** How this process was started. */
interface Start {
  /** The script as it was named: `process.argv[1]`. */
  readonly script: string;
  /** The entry of this program, with no symbolic link in its path. */
  readonly entry: string;
  readonly folder: string;
  /** The environment variable PATH. */
  readonly path: string;
}

/**
 * The words that start this program again in the same folder: the name of an installed command, `npx` with it
 * where npx finds this very package, else `node` with the path of the entry. `npx shake` elsewhere would
 * offer another package of that name.
 */
function startWords({ script, entry, folder, path }: Start): string[] {
  const name = BINS.find((bin) => bin === basename(script)) ?? "shake";
  const root = dirname(dirname(dirname(entry)));
  if (isFoundByNpx(root, folder)) return ["npx", name];
  const bin = dirname(script);
  const isInstalled = BINS.includes(basename(script)) && path.split(delimiter).includes(bin);
  if (isInstalled && basename(dirname(bin)) !== "node_modules") return [name];
  return ["node", entry];
}

/**
 * npx takes the commands of the project that a folder lies in, and those of packages installed in it or
 * above.
 */
function isFoundByNpx(root: string, folder: string): boolean {
  const above = [...parents(folder)];
  const project = above.find((parent) =>
    ["package.json", "node_modules"].some((name) => existsSync(join(parent, name))),
  );
  const places = above.map((parent) => join(parent, "node_modules", PACKAGE));
  return [...(project ? [project] : []), ...places].some((place) => realPath(place) === root);
}

function* parents(folder: string): Generator<string> {
  yield folder;
  const parent = dirname(folder);
  if (parent !== folder) yield* parents(parent);
}

function realPath(path: string): string | undefined {
  return existsSync(path) ? realpathSync(path) : undefined;
}

/**
 * A command line of this program that works in the current folder, with quotes where an argument needs them.
 */
export function shakeCommand(...args: readonly string[]): string {
  const start = startWords({
    script: process.argv[1] ?? "",
    entry: fileURLToPath(new URL("./main.js", import.meta.url)),
    folder: process.cwd(),
    path: process.env["PATH"] ?? "",
  });
  return [...start, ...args].map((word) => quoted(word)).join(" ");
}
