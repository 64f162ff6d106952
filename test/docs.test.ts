import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { artifactFiles, decodeCheckpoint } from "../artifacts/index.ts";
import { makeFolder } from "../runtime/node/index.ts";
import { initial, linearArtifacts } from "./support/linear-artifacts.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The block of a page behind `<!-- run: name -->`. */
async function scriptOf(page: string, name: string): Promise<string> {
  const text = await readFile(join(root, "docs", page), "utf8");
  const [, script] = new RegExp(`<!-- run: ${name} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\`\`\``).exec(text) ?? [];
  if (!script) throw new Error(`${page} has no script ${name}`);
  return script;
}

const batches = `
import { Tensor } from "onnxruntime-common";
const feeds = {
  target: new Tensor("float32", Float32Array.of(1, 0, 0, 1), [2, 2]),
  input: new Tensor("float32", Float32Array.of(1, 2, 3, -1, 0, 1), [2, 3]),
};
export const batches = Array.from({ length: 30 }, () => feeds);
`;

test("the script of the page about moving trains somebody's artifacts, saves and exports them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shakenet-docs-"));
  try {
    await makeFolder(join(folder, "node_modules"));
    await symlink(root, join(folder, "node_modules", "shakenet"));
    const common = join("node_modules", "onnxruntime-common");
    await symlink(join(root, common), join(folder, common));
    await makeFolder(join(folder, "artifacts"));
    for (const [key, bytes] of Object.entries(linearArtifacts("adamw"))) {
      await writeFile(join(folder, "artifacts", artifactFiles[key as keyof typeof artifactFiles]), bytes);
    }
    await writeFile(join(folder, "batches.mjs"), batches);
    await writeFile(
      join(folder, "train.mjs"),
      await scriptOf("moving-from-onnxruntime-training.md", "train.mjs"),
    );
    const { stdout } = await promisify(execFile)(process.execPath, ["train.mjs"], { cwd: folder });
    const losses = stdout.trim().split("\n").map(Number);
    expect(losses).toHaveLength(30);
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] ?? 0));
    const checkpoint = decodeCheckpoint(await readFile(join(folder, "artifacts", "checkpoint")));
    expect(checkpoint.optimizer?.step).toBe(30);
    const trained = Array.from(checkpoint.trainable.get("fc.weight")?.data as Float32Array);
    expect(trained).not.toEqual(initial.weight);
    const model = await InferenceSession.create(join(folder, "model.onnx"));
    const { output } = await model.run({ input: new Tensor("float32", Float32Array.of(1, 0, 0), [1, 3]) });
    const bias = checkpoint.trainable.get("fc.bias")?.data as Float32Array;
    expect(Number(output?.data[0])).toBeCloseTo((trained[0] ?? 0) + (bias[0] ?? 0), 5);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
