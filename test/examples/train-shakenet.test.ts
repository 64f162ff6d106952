import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { decodeModel } from "../../graph-builder/index.ts";
import { temporaryFolder } from "../support/shake.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = temporaryFolder();

test("the example trains a ShakeNet by plain node, and leaves its checkpoints and one plain model", async () => {
  const program = join(root, "dist/examples/train-shakenet.js");
  const { stdout } = await promisify(execFile)(process.execPath, [program], { cwd: folder });
  const losses = [...stdout.matchAll(/train_loss: ([\d.]+)/g)].map(([, loss]) => Number(loss));
  expect(losses).toHaveLength(3);
  expect(losses[2]).toBeLessThan(losses[0] ?? 0);
  expect(readdirSync(folder).sort()).toEqual(["best.checkpoint", "last.checkpoint", "model.onnx"]);
  const { graph } = decodeModel(readFileSync(join(folder, "model.onnx")));
  expect(graph.outputs.map(({ name }) => name)).toEqual(["logits"]);
}, 180_000);

test("every example has a test of its name", () => {
  const programs = readdirSync(join(root, "examples")).filter((file) => file.endsWith(".ts"));
  const tests = programs.map((file) => join("test/examples", file.replace(/\.ts$/, ".test.ts")));
  expect(tests.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
