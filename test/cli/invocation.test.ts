import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { quoted } from "../../runtime/node/shell-word.ts";
import { printedShake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const entry = join(root, "dist/cli/main.js");
const build = ["build-graph", "--width", "2", "--out", "my graph"];

/**
 * Starts a program in a folder, with a folder at the head of PATH, and returns the commands that it prints as
 * next ones.
 */
function nextCommands(cwd: string, bin: string, program: string, ...args: string[]): string[] {
  mkdirSync(cwd, { recursive: true });
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"]}` };
  const stdout = execFileSync(program, [...args, ...build], { cwd, env, encoding: "utf8" });
  return [...stdout.matchAll(/^ {2}(.*)$/gm)].map(([, command = ""]) => command);
}

/** A folder with links to the entry by the names of the commands. */
function binFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  // as npm does for the commands of a package that it installs
  chmodSync(entry, 0o755);
  for (const name of ["shake", "shakenet"]) symlinkSync(entry, join(path, name));
  return path;
}

describe("a printed command", () => {
  test("of an installed command is that command, and works as it is printed", () => {
    const bin = binFolder(join(folder, "prefix/bin"));
    const cwd = join(folder, "a place");
    expect(nextCommands(cwd, bin, "shake")[1]).toBe("shake inspect 'my graph'");
    const [, inspect = ""] = nextCommands(cwd, bin, "shakenet");
    expect(inspect).toBe("shakenet inspect 'my graph'");
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"]}` };
    expect(execFileSync("sh", ["-c", inspect], { cwd, env, encoding: "utf8" })).toContain("8 2x2d");
  });

  test("of node is node with the path of the entry, and works as it is printed", () => {
    const cwd = join(folder, "elsewhere");
    const [, inspect = ""] = nextCommands(cwd, folder, process.execPath, entry);
    expect(inspect).toBe(`${printedShake} inspect 'my graph'`);
    expect(execFileSync("sh", ["-c", inspect], { cwd, encoding: "utf8" })).toContain("8 2x2d");
  });

  test("in a project that the package is installed in is one of npx", () => {
    const project = join(folder, "project");
    mkdirSync(join(project, "node_modules"), { recursive: true });
    writeFileSync(join(project, "package.json"), "{}");
    symlinkSync(root, join(project, "node_modules/shakenet"));
    const bin = binFolder(join(project, "node_modules/.bin"));
    const commands = nextCommands(join(project, "deep/down"), bin, "shake");
    expect(commands[1]).toBe("npx shake inspect 'my graph'");
  });

  test("in a project with another package of that name is not one of npx", () => {
    const project = join(folder, "other");
    mkdirSync(join(project, "node_modules/shakenet"), { recursive: true });
    const bin = binFolder(join(folder, "cache/node_modules/.bin"));
    expect(nextCommands(project, bin, "shake")[1]).toBe(`${printedShake} inspect 'my graph'`);
  });
});

test("a word is quoted where a shell would read it otherwise", () => {
  expect(quoted("runs/8-2x2d_s1.onnx", "linux")).toBe("runs/8-2x2d_s1.onnx");
  expect(quoted("it's $here", "linux")).toBe("'it'\\''s $here'");
  expect(quoted("", "linux")).toBe("''");
  expect(quoted("C:\\my runs\\a", "win32")).toBe('"C:\\my runs\\a"');
  expect(quoted("C:\\runs", "win32")).toBe("C:\\runs");
});
