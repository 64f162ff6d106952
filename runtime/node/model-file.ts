import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readFileBytes } from "../../artifacts/read-file.ts";
import { externalLocations, withDataInside } from "../../graph-builder/index.ts";

/**
 * The bytes of an .onnx file, with the elements that it keeps in files beside it. Throws UserError where the
 * file or one beside it is missing, and where it is no ONNX model.
 */
export async function readModelFile(path: string): Promise<Uint8Array> {
  const bytes = await readFileBytes(path);
  return withDataInside(bytes, await readExternalData(bytes, path), path);
}

/** The files beside a model that hold elements of its tensors, by location. Those missing are left out. */
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
    if (isThere) found.set(location, await readFileBytes(file));
  }
  return found;
}
