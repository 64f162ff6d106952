import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { decodeCheckpoint, generateArtifacts } from "../../artifacts/index.ts";
import { encodeModel } from "../../graph-builder/index.ts";
import { writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { pictureModel } from "../support/picture-models.ts";
import { shake, start, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const flags = [
  ...["--artifacts", "build/mine", "--checkpoint-every-steps", "1", "--threads", "1", "--epochs", "3"],
  ...["--train-limit", "96", "--test-limit", "40", "--batch-size", "16"],
];
const read = (file: string) => new Uint8Array(readFileSync(join(folder, file)));

beforeAll(async () => {
  const file = encodeModel(pictureModel({ dropout: 0.5 }));
  const options = { loss: "cross-entropy", learningRate: 0.02, countCorrect: true } as const;
  await writeTrainingArtifacts(join(folder, "build/mine"), generateArtifacts(file, options));
  await writeTrainingArtifacts(
    join(folder, "build/fused"),
    generateArtifacts(file, { ...options, fused: true }),
  );
});

test.each([
  { name: "one session", own: [] },
  { name: "two replicas", own: ["--replicas", "2"] },
  { name: "ONNX Runtime 1.19.2", own: ["--artifacts", "build/fused", "--engine", "ort-training"] },
])(
  "a network with dropout, trained by $name, killed and resumed, ends in the same bytes",
  async ({ own }) => {
    const [name] = own.slice(-1);
    const [whole, cut] = [`whole-${name}`, `cut-${name}`];
    const uncut = await shake(folder, "train", ...flags, ...own, "--run-dir", whole);
    expect(uncut).toMatchObject({ code: 0 });
    const { child, finished } = start(folder, "train", ...flags, ...own, "--run-dir", cut);
    while (!existsSync(join(folder, cut, "metrics.jsonl"))) await sleep(2);
    child.kill("SIGKILL");
    await finished;
    const resumed = await shake(folder, "train", "--resume", cut);
    expect(resumed).toMatchObject({ code: 0 });
    for (const file of ["model.onnx", "checkpoints/last", "checkpoints/best"])
      expect(read(`${cut}/${file}`), file).toEqual(read(`${whole}/${file}`));
    const { properties } = decodeCheckpoint(read(`${whole}/checkpoints/last`));
    expect(properties.get("random_step")).toBe(properties.get("step"));
  },
);

test("another --seed draws other masks", async () => {
  const digests = await Promise.all(
    ["1", "1", "2"].map(async (seed, i) => {
      const run = `seed-${i}`;
      const { code } = await shake(folder, "train", ...flags, "--seed", seed, "--run-dir", run);
      expect(code).toBe(0);
      return decodeCheckpoint(read(`${run}/checkpoints/last`)).properties.get("random_seed");
    }),
  );
  expect(digests).toEqual([1n, 1n, 2n]);
});
