import { createHash } from "node:crypto";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, normalize, resolve, sep } from "node:path";
import type { ReadEntry } from "tar";
import { errorCode, reasonOf, refusal, refuseSpecial } from "../../../../artifacts/read-file.ts";
import { UserError } from "../../../../graph-builder/errors.ts";
import { shrinkCache, touch } from "../../cache-folder.ts";
import { isThere, makeFolderAtomic } from "../../files.ts";
import { readZipEntry, withZip, zipEntries } from "../../zip.ts";
import { cacheLimit, picturesCache } from "./cache.ts";
import { entriesOf, isPictureName, missing } from "./listing.ts";

const archiveNames = /\.(zip|tar|tar\.gz|tgz)$/i;

/** Whether a path has the name of an archive: .zip, .tar, .tar.gz or .tgz. */
export function isArchive(path: string): boolean {
  return archiveNames.test(path);
}

/**
 * The folder that an archive of pictures is unpacked to, once, in the cache; where the archive holds a single
 * folder, that folder. Throws UserError where the archive is missing or damaged.
 */
export async function unpackPictures(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (!found) throw missing(path);
  refuseSpecial(path, "read", found);
  const identity = [resolve(path), found.size, found.mtimeNs, found.ctimeNs].join("\n");
  const key = createHash("sha256").update(identity).digest("hex").slice(0, 32);
  const folder = join(picturesCache(), `${key}.unpacked`);
  if (!(await isThere(folder))) {
    await makeFolderAtomic(folder, (temporary) =>
      /\.zip$/i.test(path) ? unpackZip(path, temporary) : unpackTar(path, temporary),
    );
    await shrinkCache(picturesCache(), cacheLimit(), folder);
  }
  await touch(folder);
  return withoutWrapper(folder);
}

/** The folder in a folder that holds nothing else. */
async function withoutWrapper(folder: string): Promise<string> {
  const { folders, files } = await entriesOf(folder);
  const real = folders.filter((name) => name !== "__MACOSX");
  const [only] = real;
  return only !== undefined && real.length === 1 && files.length === 0
    ? withoutWrapper(join(folder, only))
    : folder;
}

/** Throws UserError where pictures take more room than the cache may have, as those of a zip bomb do. */
function expectRoom(path: string, bytes: number): void {
  const limit = cacheLimit();
  if (bytes <= limit) return;
  const gigabytes = limit / 1e9;
  throw new UserError(
    `${path} cannot be unpacked: its pictures take more than the ${gigabytes} GB that the cache may have, which SHAKE_CACHE_GB sets.`,
    { code: "data-invalid", details: { path, gigabytes } },
  );
}

/** Unpacks the pictures of a .tar file, which is read to its end before anything is written. */
async function unpackTar(path: string, folder: string): Promise<void> {
  const isPicture = ({ type, path: name }: ReadEntry) => type === "File" && isPictureName(baseName(name));
  let bytes = 0;
  const { extract, list } = await import("tar");
  try {
    await list({
      file: path,
      strict: true,
      onReadEntry: (entry) => {
        if (isPicture(entry)) bytes += entry.size;
      },
    });
    expectRoom(path, bytes);
    await extract({
      file: path,
      cwd: folder,
      preserveOwner: false,
      strict: true,
      filter: (_name, entry) => "header" in entry && isPicture(entry),
    });
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${path} cannot be unpacked: ${reason}.`, {
      code: "data-damaged",
      details: { path, reason },
      cause: error,
    });
  }
}

/** What a system says of names that do not go together, or are too long. */
const faultsOfNames = new Set(["EEXIST", "ENOTDIR", "EISDIR", "ENAMETOOLONG"]);

async function unpackZip(path: string, folder: string): Promise<void> {
  await withZip(path, async (file) => {
    const pictures = (await zipEntries(file, path)).filter(({ name }) => isPictureName(baseName(name)));
    expectRoom(
      path,
      pictures.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    for (const entry of pictures) {
      const name = normalize(entry.name.replaceAll("\\", "/"));
      const target = resolve(folder, name);
      // a name such as ../../x would be written outside of the folder
      if (!target.startsWith(resolve(folder) + sep)) continue;
      const content = await readZipEntry(file, entry, path);
      try {
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, content);
      } catch (error) {
        const system = errorCode(error);
        if (system === undefined || !faultsOfNames.has(system)) throw refusal(target, "written", error);
        throw new UserError(
          `${path} cannot be unpacked: ${entry.name} cannot be written, ${reasonOf(system)}.`,
          {
            code: "data-damaged",
            details: { path, name: entry.name },
            cause: error,
          },
        );
      }
    }
  });
}

function baseName(name: string): string {
  return name.split(/[/\\]/).at(-1) ?? name;
}
