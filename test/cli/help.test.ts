import { expect, test } from "vitest";
import { commands } from "../../cli/command-line.ts";
import { schemasOf, settingGroups } from "../../cli/settings.ts";
import { describeSetting } from "../../runtime/node/run/schema.ts";
import { shake, shakeWith, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();

test.each(["--help", "-h"])("shake %s lists every command with its summary", async (flag) => {
  const { code, stdout } = await shake(folder, flag);
  expect(code).toBe(0);
  for (const { name, summary } of commands) {
    expect(stdout).toMatch(new RegExp(`^ {2}shake ${name}\\b.* ${summary}( |$)`, "m"));
  }
});

test("the help of a command says what it does and names its flags with their defaults", async () => {
  const { stdout } = await shake(folder, "train", "-h");
  expect(stdout).toMatch(/^shake train\n\nTrains a network, /);
  for (const flag of ["--learning-rate", "--backward", "--resume", "--checkpoint-every-steps"])
    expect(stdout).toContain(flag);
  expect(stdout).toMatch(/--learning-rate.*\[default: 0\.1\]/);
  expect(stdout).toMatch(/--train-limit +use only the first N training images/);
  expect(stdout).toMatch(/--seed +random seed/);
});

test("-v and --version print the version", async () => {
  const { stdout } = await shake(folder, "--version");
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect((await shake(folder, "-v")).stdout).toBe(stdout);
});

test("an alias is the command", async () => {
  const { stdout } = await shake(folder, "evaluate", "--help");
  expect(stdout).toBe((await shake(folder, "eval", "--help")).stdout);
});

test("every setting is taken by a command, and its help is a phrase", () => {
  const taken = new Set(commands.flatMap(({ settings }) => Object.keys(schemasOf(settings))));
  for (const [name, schema] of Object.values(settingGroups).flatMap((group) => Object.entries(group))) {
    expect(taken, name).toContain(name);
    expect(describeSetting(schema).help, name).toMatch(/^[A-Za-z].{5,}([^.]|\.\.\.)$/);
    expect(describeSetting(schema).help, name).not.toMatch(/^of |so many/);
  }
});

/** Tells every module that a process loads. */
const listModules = `--import=data:text/javascript,${encodeURIComponent(
  `import { register } from "node:module";
  register("data:text/javascript," + encodeURIComponent(
    "export const load = (url, context, next) => (process._rawDebug(url), next(url, context));"));`,
)}`;

const heavy = /onnx|protobuf|sharp|cli-progress|runtime\/(session|index|node\/(index|devices))|operators\//;

test.each([["--help"], ["-v"], ["train", "--help"], ["export", "-h"], ["inspect", "-h"]])(
  "shake %s %s loads neither ONNX Runtime nor the compiler",
  async (...args) => {
    const { code, stderr } = await shakeWith({ NODE_OPTIONS: listModules }, folder, ...args.filter(Boolean));
    expect(code).toBe(0);
    const loaded = stderr.split("\n").filter((url) => url.startsWith("file:"));
    expect(loaded.some((url) => url.endsWith("cli/command-line.js"))).toBe(true);
    expect(
      loaded.map((url) => url.replace(/.*\/(dist|node_modules)\//, "")).filter((url) => heavy.test(url)),
    ).toEqual([]);
    if (args.length === 1) expect(loaded.filter((url) => url.includes("/zod/"))).toEqual([]);
  },
);
