import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { shake, shakeEntry, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const run = join(folder, "run");

beforeAll(async () => {
  expect((await shake(folder, "build-graph", "--width", "2", "--out", "art")).code).toBe(0);
  // what makes a folder a run
  mkdirSync(join(run, "checkpoints"), { recursive: true });
  writeFileSync(join(run, "config.json"), "{}");
  writeFileSync(join(run, "checkpoints/last"), "the last checkpoint");
});

test("--out replaces neither its source, nor training artifacts, nor what a run needs", async () => {
  const refused = {
    "art/checkpoint": "what it is made from",
    "art/training_model.onnx": "a file of training artifacts",
    "run/checkpoints/last": `what the run ${run} needs`,
    "run/config.json": `what the run ${run} needs`,
  };
  for (const [out, what] of Object.entries(refused)) {
    const before = readFileSync(join(folder, out));
    const { code, stderr } = await shake(folder, "export", "art/checkpoint", "--out", out);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `shake: --out ${out} would replace ${what}: give another path.\n`,
    });
    expect(readFileSync(join(folder, out)).equals(before)).toBe(true);
  }
  const { code, stderr } = await shake(folder, "build-graph", "--width", "2", "--out", "run");
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: `shake: --out run would replace what the run ${run} needs: give another path.\n`,
  });
  expect((await shake(folder, "export", "art/checkpoint", "--out", "run/model.onnx")).code).toBe(0);
});

test.skipIf(process.platform === "win32")("a working folder that is gone is one sentence", () => {
  const gone = join(folder, "gone");
  mkdirSync(gone);
  const script = `cd '${gone}' && rm -r '${gone}' && exec '${process.execPath}' '${shakeEntry}' doctor`;
  const { status, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: "shake: The working folder does not exist any more: go to another one.\n",
  });
  rmSync(gone, { recursive: true, force: true });
});

test.skipIf(process.platform === "win32")(
  "no file descriptors left, and a full standard output, are one sentence each",
  () => {
    const shell = (command: string) =>
      spawnSync("sh", ["-c", command], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, NO_COLOR: "1" },
      });
    const program = `'${process.execPath}' '${shakeEntry}' inspect art`;
    for (const count of [28, 48]) {
      const { status, stderr } = shell(`ulimit -n ${count}; exec ${program}`);
      expect(stderr).toMatch(/^shake: [^\n]* too many open files[^\n]*\.\n$/);
      expect(status).toBe(2);
    }
    if (process.platform !== "linux") return;
    expect(shell(`exec ${program} > /dev/full`)).toMatchObject({
      status: 2,
      stderr: "shake: The standard output cannot be written: the disk is full.\n",
    });
  },
);

test.skipIf(process.platform === "win32")(
  "a command that runs a model writes nothing into the home and the temporary folder, as ONNX Runtime's reports would",
  async () => {
    const home = join(folder, "home");
    const temporary = join(folder, "temporary");
    for (const path of [home, temporary]) mkdirSync(path);
    // ONNX Runtime reports nothing where it sees that it is tested
    const { CI: _, GITHUB_ACTIONS: __, ...rest } = process.env;
    const env = {
      ...rest,
      HOME: home,
      TMPDIR: temporary,
      XDG_CACHE_HOME: home,
      ORT_DISABLE_TELEMETRY: undefined,
    };
    const args = ["bench", "--width", "2", "--steps", "1", "--warmup", "0", "--batch-size", "2"];
    const { status, stderr } = spawnSync(process.execPath, [shakeEntry, ...args], { cwd: folder, env });
    expect(status, String(stderr)).toBe(0);
    expect([...readdirSync(home), ...readdirSync(temporary)]).toEqual([]);
  },
);
