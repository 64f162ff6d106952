import { UserError } from "../../../graph-builder/errors.ts";
import { picturesUnder } from "../../../runtime/node/data/own/listing.ts";
import { isFolder } from "../../../runtime/node/files.ts";

/** A picture file to classify. */
export interface NamedPicture {
  readonly path: string;
  /** Whether it was found in a folder: then it is left out where it cannot be read. */
  readonly isFound: boolean;
}

/**
 * The pictures that paths name, in their order; for a folder, all in it and below. Throws UserError for a
 * folder without any.
 */
export async function namedPictures(paths: readonly string[]): Promise<NamedPicture[]> {
  const pictures: NamedPicture[] = [];
  for (const path of paths) {
    if (!(await isFolder(path))) {
      pictures.push({ path, isFound: false });
      continue;
    }
    const found = await picturesUnder(path);
    if (found.length === 0) {
      throw new UserError(`${path} has no pictures in it.`, { code: "data-missing", details: { path } });
    }
    for (const each of found) pictures.push({ path: each, isFound: true });
  }
  return pictures;
}
