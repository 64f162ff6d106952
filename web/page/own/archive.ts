import type { OwnClasses } from "./own-classes.ts";
import { type ZipEntry, zipOf } from "./zip.ts";

const FOLDER = "your-pictures";
const BATCH = 200;

/** All pictures as a .zip of a folder with a folder for each class, as `shake train --data` takes it. */
export async function archiveOf({ all, store }: OwnClasses): Promise<Blob> {
  const entries: ZipEntry[] = [];
  for (const { name, pictures } of all) {
    let number = 0;
    for (let first = 0; first < pictures.length; first += BATCH)
      for (const { png, crc } of (await store.files(pictures.slice(first, first + BATCH))).values())
        entries.push({ name: `${FOLDER}/${name}/${padded(++number)}.png`, content: png, crc });
  }
  return zipOf(entries);
}

/** Numbers of one length are in order wherever names are sorted. */
function padded(number: number): string {
  return String(number).padStart(5, "0");
}
