import { copyFileSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { describeStop } from "../../cli/commands/train/early-end.ts";
import { Patience } from "../../cli/commands/train/patience.ts";
import { prepareResumedRun } from "../../cli/commands/train/resumed-run.ts";
import { openRun } from "../../shakenet/node/run.ts";
import { eventsIn } from "../support/event-files.ts";
import { printedShake, shake, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const flags = [...tinyRunFlags, "--epochs", "4"];

beforeAll(async () => {
  const { code, stderr } = await shake(
    folder,
    "train",
    ...flags,
    "--checkpoint-hist",
    "2",
    "--run-dir",
    "whole",
  );
  expect(code, stderr).toBe(0);
});

function checkpoints(run: string): string[] {
  return readdirSync(join(folder, run, "checkpoints")).sort();
}

function expectLikeWhole(run: string): void {
  for (const file of ["model.onnx", "checkpoints/last"]) {
    const [own, whole] = [run, "whole"].map((each) => readFileSync(join(folder, each, file)));
    expect(own?.equals(whole ?? new Uint8Array()), file).toBe(true);
  }
}

test("--checkpoint-hist keeps the newest checkpoints of epochs and the best one", () => {
  expect(checkpoints("whole")).toEqual(["best", "epoch-3", "epoch-4", "last"]);
  const [third, last] = ["epoch-3", "last"].map((name) =>
    decodeCheckpoint(readFileSync(join(folder, "whole/checkpoints", name))).properties.get("step"),
  );
  expect([third, last]).toEqual([18n, 24n]);
});

test("--max-time ends a run early with a model and a sentence on the schedule, and --resume ends it in the same bytes", async () => {
  const cut = await shake(
    folder,
    "train",
    ...flags,
    "--max-time",
    "0.01",
    "--run-dir",
    "cut",
    "--json",
    "--tensorboard",
  );
  expect(cut.code, cut.stderr).toBe(0);
  expect(JSON.parse(cut.stdout)).toMatchObject({ stopped: "time", step: 1, model: "cut/model.onnx" });
  expect(cut.stderr).toContain(
    `The time of --max-time is over after step 1 of 24. The learning rate was still 0.0996, because the schedule counts 4 epochs: with --epochs 1 it would have fallen to 0 by now. To go on:\n  ${printedShake} train --resume cut\n`,
  );
  expect(existsSync(join(folder, "cut/metrics.jsonl"))).toBe(false);
  expect(existsSync(join(folder, "cut/model.onnx"))).toBe(true);
  const changed = ["--save-every", "2", "--checkpoint-every-steps", "5"];
  const rest = await shake(folder, "train", "--resume", "cut", ...changed);
  expect(rest.code, rest.stderr).toBe(0);
  expectLikeWhole("cut");
  expect(checkpoints("cut")).toEqual(["best", "epoch-2", "epoch-4", "last"]);
});

test("a resume keeps its --save-every in config.json, and not its --checkpoint-every-steps, which counts for one command", () => {
  const config = JSON.parse(readFileSync(join(folder, "cut/config.json"), "utf8"));
  expect(config).toMatchObject({ saveEvery: 2, checkpointEverySteps: 200 });
});

test("the event files of a run that was cut and resumed have every scalar once, the graph and the curves", () => {
  const events = eventsIn(join(folder, "cut/tensorboard"));
  const scalars = events.flatMap(({ step, summary }) =>
    (summary?.value ?? []).map(({ tag }) => `${tag} ${step}`),
  );
  expect(new Set(scalars).size).toBe(scalars.length);
  const stepsOf = (tag: string) =>
    scalars.flatMap((each) => (each.startsWith(`${tag} `) ? Number(each.split(" ")[1]) : []));
  for (const tag of ["loss/train", "loss/test", "accuracy/train", "accuracy/test", "epoch/learning_rate"])
    expect(stepsOf(tag), tag).toEqual([6, 12, 18, 24]);
  for (const tag of ["step/loss", "step/learning_rate", "step/images_per_second"])
    expect(stepsOf(tag), tag).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
  expect(stepsOf("curves")).toEqual([24]);
  const graphs = events.flatMap(({ graph_def }) => graph_def ?? []);
  expect(graphs).toHaveLength(1);
  expect(graphs[0]?.node).toContainEqual(
    expect.objectContaining({
      name: "head/Gemm_0",
      op: "Gemm",
      input: ["head/Flatten_0", "fc/weight", "fc/bias"],
    }),
  );
});

test("a damaged last checkpoint is replaced by the newest one that was kept, and a named one is gone back to", async () => {
  const last = join(folder, "cut/checkpoints/last");
  copyFileSync(join(folder, "cut/checkpoints/epoch-2"), join(folder, "cut/checkpoints/best"));
  writeFileSync(last, "damaged");
  writeFileSync(join(folder, "cut/checkpoints/epoch-4"), "damaged too");
  const mended = await shake(folder, "train", "--resume", "cut", "--dry-run", "--json");
  expect(mended).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/is not a sound ONNX Runtime checkpoint/),
  });
  expect(readFileSync(last, "utf8")).toBe("damaged");
  const back = await shake(folder, "train", "--resume", "cut/checkpoints/epoch-2");
  expect(back.code, back.stderr).toBe(0);
  expect(back.stderr).toMatch(/epoch 3\/4.*\nepoch 4\/4/);
  expectLikeWhole("cut");
  writeFileSync(last, "damaged");
  const { stderr } = await shake(folder, "train", "--resume", "cut");
  expect(stderr).toContain("the run goes on from cut/checkpoints/epoch-4, of step 24.\n");
  expectLikeWhole("cut");
});

test("a resume that goes back removes the best checkpoint of an epoch that it makes again", async () => {
  cpSync(join(folder, "whole"), join(folder, "back"), { recursive: true });
  const [kept, back] = ["whole", "back"].map((run) => join(folder, run, "checkpoints"));
  copyFileSync(`${kept}/epoch-3`, `${back}/last`);
  for (const [name, isLeft] of [
    ["epoch-3", true],
    ["epoch-4", false],
  ] as const) {
    copyFileSync(`${kept}/${name}`, `${back}/best`);
    await (await openRun(join(folder, "back"))).prepareToResume();
    expect(existsSync(`${back}/best`), name).toBe(isLeft);
  }
  const stop = await describeStop("patience", await openRun(join(folder, "back")), 6);
  expect(stop).not.toContain("--checkpoint best");
});

test("a resume that goes back takes the best checkpoint of the epochs that are left, where it was kept", async () => {
  cpSync(join(folder, "whole"), join(folder, "left"), { recursive: true });
  const [kept, left] = ["whole", "left"].map((run) => join(folder, run, "checkpoints"));
  copyFileSync(`${kept}/epoch-4`, `${left}/best`);
  // as if the first two epochs had not been evaluated
  const metrics = join(folder, "left/metrics.jsonl");
  writeFileSync(metrics, readFileSync(metrics, "utf8").replace(/^(.*\n){2}/, ""));
  const progress = { update() {}, log() {}, stop() {} };
  const prepared = await prepareResumedRun({ resume: `${left}/epoch-3` }, progress);
  await (await prepared.openDirectory(prepared.checkpoint)).close();
  expect(readFileSync(`${left}/best`).equals(readFileSync(`${kept}/epoch-3`))).toBe(true);
  expect(checkpoints("left")).toEqual(["best", "epoch-3", "last"]);
});

test.each([
  ["--artifacts", "cut", "--artifacts does not go with --resume: a run keeps its own."],
  ["--init", "whole", "--init does not go with --resume: a run keeps its weights."],
  ["--freeze", "stem*", "--freeze does not go with --resume: a run keeps the parameters that it trains."],
  ["--body-rate", "0.1", "--body-rate does not go with --resume: a run keeps the rates of its layers."],
  [
    "--pixels",
    "unit",
    "--pixels is for a model that came from a file; shake's own networks take raw pixels.",
  ],
])("--resume refuses %s %s", async (flag, value, sentence) => {
  const { code, stderr } = await shake(folder, "train", "--resume", "whole", flag, value);
  expect({ code, stderr }).toEqual({ code: 2, stderr: `shake: ${sentence}\n` });
});

test("--patience-epochs ends a run that gets no better, and goes on with more of it", async () => {
  const stuck = [...tinyRunFlags, "--epochs", "30", "--learning-rate", "1e-12", "--test-limit", "8"];
  const args = ["--patience-epochs", "1", "--run-dir", "stuck", "--json"];
  const first = await shake(folder, "train", ...stuck, ...args);
  expect(first.code, first.stderr).toBe(0);
  const { step } = JSON.parse(first.stdout);
  const end = step / 6;
  expect(JSON.parse(first.stdout)).toMatchObject({ stopped: "patience" });
  expect(end).toBeLessThan(30);
  expect(first.stderr).toContain(`1 epoch brought no better one: the run ends after epoch ${end} of 30.`);
  expect(first.stderr).toContain(`  ${printedShake} train --resume stuck --patience-epochs 2\n`);
  expect(first.stderr).toContain(`  ${printedShake} export stuck --checkpoint best --out best.onnx\n`);
  const again = await shake(folder, "train", "--resume", "stuck", "--patience-epochs", "2", "--json");
  expect(JSON.parse(again.stdout).step).toBeGreaterThan(step);
});

test("a run whose time is over in its last step has come to its end, and is not told as stopped", async () => {
  const single = [...tinyRunFlags, "--train-limit", "16", "--epochs", "1", "--max-time", "0.01"];
  const { code, stdout, stderr } = await shake(folder, "train", ...single, "--run-dir", "single", "--json");
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ model: "single/model.onnx" });
  expect(JSON.parse(stdout)).not.toHaveProperty("stopped");
  expect(stderr).not.toContain("--max-time");
});

test("patience counts epochs since the best sound one", () => {
  const record = (epoch: number, test_accuracy: number, test_loss = 1) => ({
    epoch,
    step: epoch,
    train_loss: 1,
    train_accuracy: 1,
    test_loss,
    test_accuracy,
    learning_rate: 1,
    images_per_second: 1,
    seconds: 1,
  });
  const patience = new Patience(3, [record(2, 50), record(4, 50)]);
  expect([patience.best?.epoch, patience.isOver]).toEqual([2, false]);
  patience.count(record(5, 99, Number.NaN));
  expect([patience.best?.epoch, patience.isOver]).toEqual([2, true]);
  patience.count(record(6, 51));
  expect([patience.best?.epoch, patience.isOver]).toEqual([6, false]);
  expect(new Patience(undefined, [record(1, 5), record(1000, 4)]).isOver).toBe(false);
});

test("--dry-run says what would be trained and when it would end, and writes nothing", async () => {
  const before = readdirSync(folder).sort();
  const { code, stdout, stderr } = await shake(folder, "train", ...flags, "--dry-run", "--max-time", "5h");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const line of [
    /^network +8 2x2d, shake-shake-image, 3,574 parameters$/m,
    /^data +shapes, 96 training and 40 test images$/m,
    /^step +\S+ m?s for 16 images, \d+ images\/s$/m,
    /^evaluation +\S+ m?s for 40 test images$/m,
    /^memory +\d+ MB of this process$/m,
    /^would end +\d{4}-\d\d-\d\d \d\d:\d\d, after \d+ s and 24 steps$/m,
  ])
    expect(stdout).toMatch(line);
  expect(readdirSync(folder).sort()).toEqual(before);
});

test("--dry-run with --early-size times a step of each size and counts the steps of both", async () => {
  const given = [...flags, "--early-size", "16", "--early-share", "0.25", "--dry-run", "--json"];
  const { code, stdout, stderr } = await shake(folder, "train", ...given);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const facts = JSON.parse(stdout);
  const [early, later] = facts.steps_by_size;
  expect(facts.steps_by_size).toMatchObject([{ early_size: 16, steps: 6 }, { steps: 18 }]);
  const evaluations = 4 * facts.seconds_per_evaluation;
  const steps = 6 * early.seconds_per_step + 18 * later.seconds_per_step;
  expect(facts.seconds_left).toBeCloseTo(steps + evaluations, 6);
  expect(facts.seconds_per_step).toBeCloseTo(steps / 24, 6);
});
