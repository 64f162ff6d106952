import { spawn } from "node:child_process";
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The path of a program. */
export type Tool = string;

const root = fileURLToPath(new URL("../../../", import.meta.url));
const sources = join(root, "bench", "compare");
const venvs = join(root, ".venv-compare");

/**
 * Installs `requirements/<name>.txt` into the virtual environment `.venv-compare/<name>`, unless it is there.
 * Uses python3.11, or the program that PYTHON names. Returns the environment's Python.
 * Throws Error with the reason that the installation printed.
 */
export async function installVenv(name: string): Promise<Tool> {
  const requirements = join(sources, "requirements", `${name}.txt`);
  const venv = join(venvs, name);
  const python = join(venv, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const installed = join(venv, "requirements.txt");
  if (await isSame(requirements, installed)) return python;
  process.stderr.write(`installing ${name} into .venv-compare/${name}\n`);
  await run(process.env["PYTHON"] ?? "python3.11", ["-m", "venv", "--clear", venv]);
  await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]);
  await copyFile(requirements, installed);
  return python;
}

/**
 * Installs the packages of `bench/compare/package.json`, unless they are there. Returns the path of Node.
 * Throws Error where they cannot be installed.
 */
export async function installPackages(): Promise<Tool> {
  const installed = join(sources, "node_modules", ".installed.json");
  if (!(await isSame(join(sources, "package.json"), installed))) {
    process.stderr.write("installing the packages of bench/compare\n");
    await run("npm", ["install", "--silent", "--prefix", sources], sources);
    await copyFile(join(sources, "package.json"), installed);
  }
  return process.execPath;
}

/** Throws Error, with the command that installs it, where a program is not there. */
export async function expectProgram(name: string, command: string): Promise<void> {
  await run(name, ["--version"]).catch(() => {
    throw new Error(`there is no ${name}: run ${command}`);
  });
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [first, second] = await Promise.all(
    [a, b].map((path) => readFile(path, "utf8").catch(() => undefined)),
  );
  return first !== undefined && first === second;
}

/** Runs a program. Throws Error with the reason that it printed where it fails. */
export async function run(command: string, args: readonly string[], cwd = root): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-10_000);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(reasonIn(output) || `${command} ended with exit code ${code}`);
}

/** The reason of a failure in the output of a program: the last line with an error, or else the last line. */
export function reasonIn(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return (
    lines.findLast((line) => /^([\w.]*(Error|Exception)|ERROR)\b.*: ?\S|^\w*Error: /.test(line)) ??
    lines.at(-1) ??
    ""
  );
}
