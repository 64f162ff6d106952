import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readModelFile } from "../../../runtime/node/index.ts";
import { mlp } from "../../support/artifact-models.ts";
import { externalFileOf } from "../../support/file-model.ts";
import { temporaryFolder } from "../../support/shake.ts";

const folder = temporaryFolder();

/** Writes a model whose elements are in `data.bin`, and that file somewhere else. */
function write(place: string, dataAt: string): Uint8Array {
  const { bytes, files, whole } = externalFileOf(mlp(), "data.bin");
  mkdirSync(join(folder, place), { recursive: true });
  writeFileSync(join(folder, place, "model.onnx"), bytes);
  writeFileSync(join(folder, dataAt), files.get("data.bin") ?? "");
  return whole;
}

test("elements are read through a link inside the model's folder, and through none that leads out", async () => {
  const whole = write("linked", "linked/other.bin");
  symlinkSync("other.bin", join(folder, "linked/data.bin"));
  expect(await readModelFile(join(folder, "linked/model.onnx"))).toEqual(whole);
  write("led-out", "secret.bin");
  symlinkSync("../secret.bin", join(folder, "led-out/data.bin"));
  const model = join(folder, "led-out/model.onnx");
  await expect(readModelFile(model)).rejects.toMatchObject({
    code: "model-damaged",
    message: `${model} cannot be used: ${join(folder, "led-out/data.bin")} is a link to ${join(folder, "secret.bin")}, outside of the model's folder.`,
  });
});

test("a model whose files are links into one folder is read, as in Hugging Face's cache", async () => {
  const whole = write("blobs", "blobs/data.bin");
  mkdirSync(join(folder, "snapshot"));
  for (const name of ["model.onnx", "data.bin"])
    symlinkSync(join("../blobs", name), join(folder, "snapshot", name));
  expect(await readModelFile(join(folder, "snapshot/model.onnx"))).toEqual(whole);
});
