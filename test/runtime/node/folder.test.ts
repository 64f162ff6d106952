import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Manifest } from "../../../artifacts/index.ts";
import { costOf, Graph } from "../../../graph-builder/index.ts";
import { endReplacement } from "../../../runtime/node/file-set.ts";
import { readManifest, readTrainingArtifacts, writeTrainingArtifacts } from "../../../runtime/node/index.ts";

/** How many changes of the file system are left before the process counts as killed. */
const life = vi.hoisted(() => ({ left: Number.POSITIVE_INFINITY }));

vi.mock("node:fs/promises", async (importOriginal) => {
  const original = await importOriginal<typeof import("node:fs/promises")>();
  const spend = () => {
    if (life.left <= 0) throw new Error("the process was killed");
    life.left -= 1;
  };
  const mortal = <A extends unknown[], R>(call: (...given: A) => Promise<R>) => {
    return async (...given: A) => {
      spend();
      return call(...given);
    };
  };
  const { rename, rm, rmdir, mkdir, link, open } = original;
  return {
    ...original,
    ...{ rename: mortal(rename), rm: mortal(rm), rmdir: mortal(rmdir), mkdir: mortal(mkdir) },
    ...{ link: mortal(link), open: mortal(open) },
  };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "shakenet-folder-"));
});
afterEach(async () => {
  life.left = Number.POSITIVE_INFINITY;
  await rm(folder, { recursive: true });
});

const isAny = (manifest: Manifest): manifest is Manifest => manifest.format === 1;

const cost = costOf(new Graph("none"));

/** Files of which each says the version. */
function version(number: number, { isFused = false } = {}) {
  const bytes = (what: string) => new TextEncoder().encode(`${what} of version ${number}`);
  const manifest: Manifest = { format: 1, parameters: number, cost };
  return {
    trainingModel: bytes("training"),
    evalModel: bytes("evaluation"),
    ...(isFused ? {} : { optimizerModel: bytes("optimizer") }),
    checkpoint: bytes("checkpoint"),
    manifest,
  };
}

/** The versions that the files of the folder say. */
async function versionsIn(): Promise<unknown> {
  const { manifest: _, ...files } = { ...(await readTrainingArtifacts(folder)), manifest: 0 };
  const { parameters } = await readManifest(folder, isAny);
  const text = new TextDecoder();
  const said = Object.values(files).map((bytes) => Number(text.decode(bytes).split(" ").at(-1)));
  return { files: Object.keys(files).length, versions: [...new Set([...said, parameters])] };
}

test("a folder whose writer is killed at any change of the file system holds one version", async () => {
  const outcomes = new Set<string>();
  for (let changes = 0; ; changes++) {
    await rm(folder, { recursive: true });
    await writeTrainingArtifacts(folder, { ...version(1), epochModel: Uint8Array.of(1) });
    life.left = changes;
    const written = await writeTrainingArtifacts(folder, version(2, { isFused: true })).then(
      () => true,
      () => false,
    );
    life.left = 0;
    const asLeft = await versionsIn();
    life.left = Number.POSITIVE_INFINITY;
    // a lock of a dead process is taken over
    await rm(join(folder, ".lock"), { force: true });
    const mended = await versionsIn();
    expect(mended, `after ${changes} changes`).toEqual(asLeft);
    expect([
      { files: 4, versions: [1] },
      { files: 3, versions: [2] },
    ]).toContainEqual(mended);
    outcomes.add(JSON.stringify(mended));
    await writeTrainingArtifacts(folder, version(3));
    expect(await versionsIn()).toEqual({ files: 4, versions: [3] });
    // temporary files of the process that is said to be killed stay, because it lives
    expect((await readdir(folder)).filter((name) => !name.endsWith(".tmp"))).toEqual([
      "checkpoint",
      "eval_model.onnx",
      "manifest.json",
      "optimizer_model.onnx",
      "training_model.onnx",
    ]);
    if (written) break;
  }
  expect(outcomes.size).toBe(2);
});

test("a model that another model has replaced is refused by its name, and a saved checkpoint is not", async () => {
  await writeTrainingArtifacts(folder, version(1));
  await writeFile(join(folder, "checkpoint"), "of a later step");
  expect(new TextDecoder().decode((await readTrainingArtifacts(folder)).checkpoint)).toBe("of a later step");
  await writeFile(join(folder, "optimizer_model.onnx"), "optimizer of version 2");
  await expect(readTrainingArtifacts(folder)).rejects.toMatchObject({
    code: "artifacts-mismatch",
    message: `${join(folder, "optimizer_model.onnx")} does not belong to ${join(folder, "manifest.json")}: its SHA-256 is not the one there. Write the artifacts again with shake build-graph.`,
  });
  await rm(join(folder, "optimizer_model.onnx"));
  await expect(readTrainingArtifacts(folder)).rejects.toMatchObject({ code: "file-missing" });
});

test("artifacts of another program, without hashes, are read as they are", async () => {
  await writeTrainingArtifacts(folder, version(1));
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
  await writeFile(join(folder, "manifest.json"), JSON.stringify({ ...manifest, files: undefined }));
  await writeFile(join(folder, "eval_model.onnx"), "evaluation of version 1 again");
  expect(await versionsIn()).toMatchObject({ files: 4 });
  await rm(join(folder, "manifest.json"));
  await readTrainingArtifacts(folder);
});

test("a reader leaves a replacement alone that a living process is at", async () => {
  await writeTrainingArtifacts(folder, version(1));
  for (let changes = 0; !(await readdir(folder)).includes(".staged"); changes++) {
    await rm(join(folder, ".lock"), { force: true });
    life.left = changes;
    await writeTrainingArtifacts(folder, version(2)).catch(() => {});
    life.left = Number.POSITIVE_INFINITY;
  }
  const before = await readdir(folder, { recursive: true });
  await endReplacement(folder);
  expect(await readdir(folder, { recursive: true })).toEqual(before);
  expect(await versionsIn()).toMatchObject({ versions: [2] });
});

test("artifacts that something in the place of `.staged` keeps from being written are refused", async () => {
  await writeFile(join(folder, ".staged"), "a file");
  await expect(writeTrainingArtifacts(folder, version(1))).rejects.toMatchObject({
    message: `${join(folder, ".staged")} cannot be created: something else has that name.`,
    code: "file-unwritable",
  });
});
