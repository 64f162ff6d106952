import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cp, mkdir, readdir, symlink } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { decodeCheckpoint, generateArtifacts } from "../../artifacts/index.ts";
import { encodeModel } from "../../graph-builder/index.ts";
import { writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { dyingReplica } from "../support/dying-replica.ts";
import { mnistFiles } from "../support/idx-files.ts";
import { dist, hasMpirun, pidOfRank, shakeRanks, startRanks } from "../support/mpirun.ts";
import { pictureModel } from "../support/picture-models.ts";
import { shake, shakeEntry, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const flags = ["train", ...tinyRunFlags];
const endless = [...flags, "--epochs", "500", "--checkpoint-every-steps", "1"];
const read = (run: string, file: string) => readFileSync(join(folder, run, file));
const stepOf = (run: string) => {
  try {
    return Number(decodeCheckpoint(read(run, "checkpoints/last")).properties.get("step"));
  } catch {
    return 0;
  }
};

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The package.json of this package, or of one that it depends on. */
function manifestOf(installation: string, name: string): string {
  return join(installation, name === "shakenet" ? "" : `node_modules/${name}`, "package.json");
}

/** Installs the compiled package again, with one package of another version. Returns its entry. */
async function installedWith(name: string, version: string): Promise<string> {
  const copy = join(folder, `with-${name}`);
  await cp(dist, join(copy, "dist"), { recursive: true });
  await cp(join(root, "package.json"), join(copy, "package.json"));
  await mkdir(join(copy, "node_modules"));
  for (const each of await readdir(join(root, "node_modules"))) {
    if (each !== name) await symlink(join(root, "node_modules", each), join(copy, "node_modules", each));
  }
  await mkdir(dirname(manifestOf(copy, name)), { recursive: true });
  const own = JSON.parse(readFileSync(manifestOf(root, name), "utf8"));
  writeFileSync(manifestOf(copy, name), JSON.stringify({ ...own, version }));
  return join(copy, "dist/cli/main.js");
}

/** Waits until a run has taken a step. */
async function firstStep(run: string): Promise<void> {
  for (let i = 0; i < 1500 && stepOf(run) < 2; i++) await sleep(20);
}

function expectSameRun(a: string, b: string): void {
  for (const file of ["model.onnx", "checkpoints/last", "checkpoints/best"]) {
    expect(read(a, file), file).toEqual(read(b, file));
  }
}

describe.skipIf(!hasMpirun)("where there is an mpirun", () => {
  beforeAll(async () => {
    const whole = await shake(folder, ...flags, "--replicas", "2", "--run-dir", "whole");
    expect(whole.code, whole.stderr).toBe(0);
  });

  test("two ranks give the bytes of two replicas, and rank 0 alone prints and writes", async () => {
    const { code, stdout, stderr } = await shakeRanks(
      folder,
      2,
      ...flags,
      "--ranks",
      "2",
      "--run-dir",
      "ranks",
    );
    expect(code, stderr).toBe(0);
    expectSameRun("ranks", "whole");
    expect(stderr).toMatch(/device +cpu, 2 ranks\n/);
    expect(stderr.match(/^epoch 2\/2/gm)).toHaveLength(1);
    expect(stdout.match(/Test accuracy/g)).toHaveLength(1);
    // every rank sends half of the 3,574 gradients, and half of the sums
    const line =
      /^2 ranks on 1 host: a step of rank 0 took [\d.]+ m?s, sent (\S+) kB, exchanged gradients for [\d.]+ % of its time, and waited for other ranks for [\d.]+ %$/m;
    const kilobytes = Number(line.exec(stderr)?.[1]);
    expect(kilobytes).toBeGreaterThan(14.2);
    expect(kilobytes).toBeLessThan(16);
    const metrics = (run: string) =>
      JSON.parse(String(read(run, "metrics.jsonl")).trim().split("\n").at(-1) ?? "");
    const { test_loss, train_loss, test_accuracy } = metrics("whole");
    const ranked = metrics("ranks");
    expect(ranked).toMatchObject({ test_loss, train_loss, test_accuracy });
    expect(ranked.gradients_seconds + ranked.waiting_seconds).toBeGreaterThan(0);
    expect(ranked.gradients_seconds + ranked.waiting_seconds).toBeLessThan(ranked.seconds);
    const steps = ranked.step / ranked.epoch;
    expect(ranked.bytes_sent / steps).toBeGreaterThan(14_200);
    expect(ranked.bytes_sent / steps).toBeLessThan(16_000);
    expect(metrics("whole")).not.toHaveProperty("bytes_sent");
  });

  test("a run that SIGUSR1 stops goes on to the same bytes, and on one rank it says what changes", async () => {
    const started = startRanks(folder, [
      { ranks: 2, args: [shakeEntry, ...flags, "--checkpoint-every-steps", "1", "--run-dir", "cut"] },
    ]);
    await firstStep("cut");
    started.child.kill("SIGUSR1");
    const stopped = await started.finished;
    if (stopped.code !== 0) {
      expect(stopped.code, stopped.stderr).toBe(130);
      expect(stopped.stderr).toMatch(
        /Stopped after step \d+, which is saved. To go on:\n {2}mpirun -n 2 node/,
      );
      const alone = await shake(folder, "train", "--resume", "cut", "--dry-run");
      expect(alone.stderr).toContain(
        "The run goes on with 1 replica instead of 2 ranks: each batch of 16 is divided by 1, so batch normalisation sees 16 images instead of 8, and the result is not that of the uncut run.",
      );
      const resumed = await shakeRanks(folder, 2, "train", "--resume", "cut");
      expect(resumed.code, resumed.stderr).toBe(0);
    }
    expectSameRun("cut", "whole");
  });

  test("a rank that is killed ends the run with its name, and the last checkpoint goes on", async () => {
    const started = startRanks(folder, [{ ranks: 2, args: [shakeEntry, ...endless, "--run-dir", "killed"] }]);
    await firstStep("killed");
    const first = await pidOfRank(started.child, 0);
    process.kill(await pidOfRank(started.child, 1), "SIGKILL");
    const { code, stderr } = await started.finished;
    // mpirun may end before the rank that saves
    while (isAlive(first)) await sleep(20);
    expect(code).not.toBe(0);
    expect(stderr).toContain(
      `rank 1 of 2 (Open MPI, host ${hostname()}) died. The last checkpoint is kept; to go on: mpirun -n 2 node ${shakeEntry} train --resume killed`,
    );
    const step = stepOf("killed");
    const resumed = await shakeRanks(folder, 2, "train", "--resume", "killed", "--max-time", "0.001");
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(stepOf("killed")).toBeGreaterThan(step);
  });

  test("a rank that fails is named with its host and its reason, once", async () => {
    const isRank1 = "process.env.OMPI_COMM_WORLD_RANK === '1'";
    const preload = `--import=${dyingReplica("train", "fail", undefined, isRank1)}`;
    const { code, stderr } = await startRanks(folder, [
      { ranks: 2, args: [preload, shakeEntry, ...endless, "--run-dir", "failed"] },
    ]).finished;
    expect(code).toBe(1);
    const sentence = `rank 1 of 2 (Open MPI, host ${hostname()}): ReplicaError: Replica 1 of 1 failed: out of luck`;
    expect(stderr.split(sentence)).toHaveLength(2);
    expect(stderr).toContain("The last checkpoint is kept; to go on: mpirun -n 2 node");
  });

  test("settings that differ between the ranks are named with their values, once", async () => {
    const group = (...more: string[]) => ({
      ranks: 1,
      args: [shakeEntry, ...flags, "--run-dir", "differs", ...more],
    });
    const { code, stderr } = await startRanks(folder, [group(), group("--seed", "7")]).finished;
    expect(code).toBe(2);
    const host = hostname();
    const sentence = `--seed is not given on rank 0 of 2 (Open MPI, host ${host}) and 7 on rank 1 of 2 (Open MPI, host ${host}): give all ranks the same settings.`;
    expect(stderr.split(sentence)).toHaveLength(2);
  });

  test.each([
    ["shakenet", "0.0.7"],
    ["onnxruntime-node", "1.19.2"],
  ])(
    "another version of %s on a host is refused with both versions, the rank and the host",
    async (name, other) => {
      const entry = await installedWith(name, other);
      const group = (main: string) => ({ ranks: 1, args: [main, ...flags, "--run-dir", `version-${name}`] });
      const { code, stderr } = await startRanks(folder, [group(shakeEntry), group(entry)]).finished;
      expect(code, stderr).toBe(2);
      const [first, second] = [0, 1].map((rank) => `rank ${rank} of 2 (Open MPI, host ${hostname()})`);
      const { version } = JSON.parse(readFileSync(manifestOf(root, name), "utf8"));
      const sentence = `${first} has ${name} ${version}, and ${second} has ${name} ${other}: install the same version on all hosts.`;
      expect(stderr.split(sentence)).toHaveLength(2);
      expect(existsSync(join(folder, `version-${name}`))).toBe(false);
    },
  );

  test("data that differs between the ranks is refused", async () => {
    for (const [name, count] of [
      ["a", 64],
      ["b", 63],
    ] as const) {
      await mkdir(join(folder, name));
      for (const [file, bytes] of Object.entries(mnistFiles(count, 20)))
        writeFileSync(join(folder, name, file), bytes);
    }
    const group = (data: string) => ({
      ranks: 1,
      args: [
        ...[shakeEntry, "train", "--width", "2", "--epochs", "1", "--batch-size", "16", "--data", "mnist"],
        ...["--data-dir", data, "--run-dir", "data"],
      ],
    });
    const { code, stderr } = await startRanks(folder, [group("a"), group("b")]).finished;
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(/The images of mnist on rank 1 of 2 .* are not those on rank 0 of 2/);
  });

  test("a model that came from a file is trained by ranks as by replicas", async () => {
    const options = { loss: "cross-entropy", learningRate: 0.02, countCorrect: true } as const;
    const artifacts = generateArtifacts(encodeModel(pictureModel({ layout: "nhwc" })), options);
    await writeTrainingArtifacts(join(folder, "mine"), artifacts);
    const model = ["train", "--artifacts", "mine", "--threads", "1", "--batch-size", "16"];
    const small = ["--train-limit", "96", "--test-limit", "40", "--epochs", "2"];
    const alone = await shake(folder, ...model, ...small, "--replicas", "4", "--run-dir", "model");
    expect(alone.code, alone.stderr).toBe(0);
    const ranks = await shakeRanks(
      folder,
      2,
      ...model,
      ...small,
      "--replicas",
      "2",
      "--run-dir",
      "model-ranks",
    );
    expect(ranks.code, ranks.stderr).toBe(0);
    expectSameRun("model-ranks", "model");
  });
});

test("a number of ranks that nothing has started is refused", async () => {
  const { code, stderr } = await shake(folder, ...flags, "--ranks", "3");
  expect(code).toBe(2);
  expect(stderr).toBe(
    "shake: --ranks 3 does not fit: nothing has started more than this process. Start them with mpirun -n 3, or with srun -n 3.\n",
  );
});
