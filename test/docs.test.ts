import { execFile } from "node:child_process";
import { access, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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

const lines = (text: string) => text.split("\n").map((line) => line.trim());

/** Whether the lines of `part` follow each other in `whole`, whatever their indentation. */
function quotes(whole: string, part: string): boolean {
  return `\n${lines(whole).join("\n")}\n`.includes(`\n${lines(part.trim()).join("\n")}\n`);
}

/** The paths of the project that lead to nothing. */
async function missingOf(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.allSettled(paths.map((path) => access(join(root, path))));
  return paths.filter((_, i) => found[i]?.status === "rejected");
}

test("the README's program is the example that it names, and the README has fewer than 1,500 words", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const [, file = "", program] = /<!-- file: (\S+) -->\n```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(program).toBe(await readFile(join(root, file), "utf8"));
  expect(readme.split(/\s+/).length).toBeLessThan(1500);
});

test("what docs/architecture.md quotes stands in the files that it names", async () => {
  const page = await readFile(join(root, "docs/architecture.md"), "utf8");
  const blocks = [...page.matchAll(/```ts\n\/\/ (\S+\.ts)\n([\s\S]*?)```/g)];
  expect(blocks.length).toBeGreaterThan(8);
  const wrong: string[] = [];
  for (const [, file = "", block = ""] of blocks) {
    const source = await readFile(join(root, file), "utf8");
    for (const part of block.split(/^\/\/ \.\.\.$/m)) {
      if (!quotes(source, part)) wrong.push(`${file}:\n${part}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("every place that docs/architecture.md names is there", async () => {
  const page = await readFile(join(root, "docs/architecture.md"), "utf8");
  const paths = [...page.matchAll(/`([\w-]+\/[\w./-]*)`/g)].map(([, path = ""]) => path);
  expect(paths.length).toBeGreaterThan(100);
  expect(await missingOf(paths)).toEqual([]);
});

/** The text of every page, by its path. */
async function readPages(): Promise<ReadonlyMap<string, string>> {
  const docs = (await readdir(join(root, "docs"))).filter((file) => file.endsWith(".md"));
  const others = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"];
  const pages = new Map<string, string>();
  for (const path of [...others, ...docs.map((file) => `docs/${file}`)])
    pages.set(path, await readFile(join(root, path), "utf8"));
  return pages;
}

test("every file that a page links to is there", async () => {
  const links: string[] = [];
  for (const [page, text] of await readPages()) {
    for (const [, link = ""] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      links.push(join(dirname(page), link));
    }
  }
  expect(links.length).toBeGreaterThan(10);
  expect(await missingOf(links)).toEqual([]);
});

/** The anchors that GitHub gives the headings of a page. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...text.replace(/```[\s\S]*?```/g, "").matchAll(/^#+ (.*)$/gm)];
  const anchor = (heading: string) => heading.replace(/[^\w\- ]/g, "").replaceAll(" ", "-");
  return new Set(headings.map(([, heading = ""]) => anchor(heading.toLowerCase())));
}

test("every heading that a page links to is there", async () => {
  const pages = await readPages();
  const links: string[] = [];
  const broken: string[] = [];
  for (const [page, text] of pages) {
    for (const [, file = "", heading = ""] of text.matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)) {
      const target = pages.get(file === "" ? page : join(dirname(page), file)) ?? "";
      links.push(`${page}: ${file}#${heading}`);
      if (!anchorsOf(target).has(heading)) broken.push(`${page}: ${file}#${heading}`);
    }
  }
  expect(links.length).toBeGreaterThan(50);
  expect(broken).toEqual([]);
});
