import { realpath, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { readFileBytes } from "../../artifacts/read-file.ts";
import { externalLocations, UserError, withDataInside } from "../../graph-builder/index.ts";

/**
 * The bytes of an .onnx file, with the elements that it keeps in files beside it. Throws UserError where the
 * file or one beside it is missing, and where it is no ONNX model.
 */
export async function readModelFile(path: string): Promise<Uint8Array> {
  return withDataBeside(await readFileBytes(path), path);
}

/**
 * The bytes of a model that was read from a path, with the elements that lie in files beside that path. ONNX
 * Runtime would look for them in the working folder. Throws UserError as `readModelFile`.
 */
export async function withDataBeside(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  return withDataInside(bytes, await readExternalData(bytes, path), path);
}

/**
 * The files beside a model that hold elements of its tensors, by location. Those missing are left out. Throws
 * UserError for a link that leads out of the model's folder, which may show anything of this machine; the
 * folder that the model itself is linked from is its folder too, as in Hugging Face's cache.
 */
export async function readExternalData(
  bytes: Uint8Array,
  path: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for (const location of externalLocations(bytes, path)) {
    const file = join(dirname(path), location);
    const isThere = await stat(file).then(
      (each) => each.isFile(),
      () => false,
    );
    if (!isThere) continue;
    await expectInside(file, path);
    found.set(location, await readFileBytes(file));
  }
  return found;
}

async function expectInside(file: string, model: string): Promise<void> {
  const real = await realpath(file);
  const folders = [await realpath(dirname(model)), dirname(await realpath(model))];
  if (folders.some((folder) => real.startsWith(folder.endsWith(sep) ? folder : folder + sep))) return;
  throw new UserError(
    `${model} cannot be used: ${file} is a link to ${real}, outside of the model's folder.`,
    {
      code: "model-damaged",
      details: { where: model, path: file },
    },
  );
}
