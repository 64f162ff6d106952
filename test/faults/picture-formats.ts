import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { create } from "tar";
import { parseCsv } from "../../runtime/node/data/own/csv.ts";
import { listPictures, OwnPictures } from "../../runtime/node/index.ts";
import { colourPictures, writeFiles, zipOf } from "../support/picture-folder.ts";
import { type Format, other } from "./formats.ts";

const size = { channels: 3, height: 8, width: 8 };

/** A data set of six pictures of two classes in `folder`, as a folder, a .zip, a .tar.gz and a .csv. */
export async function writePictures(folder: string): Promise<void> {
  const files = await colourPictures({ red: 3, blue: 3 });
  writeFiles(join(folder, "pictures"), files);
  await writeFile(join(folder, "pictures.zip"), zipOf(files));
  await create({ file: join(folder, "pictures.tar.gz"), gzip: true, cwd: join(folder, "pictures") }, [
    "red",
    "blue",
  ]);
  const rows = Object.keys(files).map((name, i) => [
    `pictures/${name}`,
    dirname(name),
    i < 4 ? "train" : "val",
  ]);
  const text = [["path", "label", "split"], ...rows].map((row) => row.join(",")).join("\n");
  await writeFile(join(folder, "pictures.csv"), `${text}\n`);
}

/**
 * Archives, lists and decoded pictures, made of the data set in `folder`. The readers use the cache that
 * SHAKE_CACHE_DIR names; each trial begins with an empty one.
 */
export async function makePictureFormats(folder: string): Promise<Format[]> {
  const cache = process.env["SHAKE_CACHE_DIR"];
  if (cache === undefined) throw new Error("SHAKE_CACHE_DIR must name a folder for the trials");
  const bytesOf = async (name: string) => new Uint8Array(await readFile(join(folder, name)));
  const reader =
    (end: string): Format["read"] =>
    async (bytes, path) => {
      await rm(cache, { recursive: true, force: true });
      await writeFile(`${path}${end}`, bytes);
      await pixelsIn(`${path}${end}`);
    };
  const archive = (name: string, end: string, bytes: Uint8Array): Format => ({
    name,
    bytes,
    isText: false,
    read: reader(end),
  });
  const packed = await bytesOf("pictures.tar.gz");
  return [
    archive("zip of pictures", ".zip", await bytesOf("pictures.zip")),
    archive("tar of pictures", ".tar", new Uint8Array(gunzipSync(packed))),
    archive("tar.gz of pictures", ".tar.gz", packed),
    { name: "csv of pictures", bytes: await bytesOf("pictures.csv"), isText: true, read: csvReader(folder) },
    await packFormat(join(folder, "pictures"), cache),
  ];
}

/** The pictures of a damaged list lie where those of the sound one lie. */
function csvReader(folder: string): Format["read"] {
  return async (bytes) => {
    const path = join(folder, `${randomBytes(4).toString("hex")}.csv`);
    await writeFile(path, bytes);
    try {
      parseCsv(new TextDecoder().decode(bytes));
      await pixelsIn(path);
    } finally {
      await rm(path);
    }
  };
}

/** The file of decoded pictures in the cache: damaged, it gives the same pixels, or a sentence. */
async function packFormat(data: string, cache: string): Promise<Format> {
  const right = Buffer.from(await pixelsIn(data));
  const pictures = join(cache, "pictures");
  const [name = ""] = (await readdir(pictures)).filter((each) => each.endsWith(".pack"));
  const bytes = new Uint8Array(await readFile(join(pictures, name)));
  return {
    name: "decoded pictures",
    bytes,
    isText: false,
    read: async (damaged) => {
      await rm(cache, { recursive: true, force: true });
      await mkdir(pictures, { recursive: true });
      await writeFile(join(pictures, name), damaged);
      return right.equals(await pixelsIn(data)) ? undefined : other;
    },
  };
}

async function pixelsIn(data: string): Promise<Uint8Array> {
  const pictures = await OwnPictures.open(await listPictures(data), { size, valSplit: 0.2, splitSeed: 0 });
  try {
    pictures.expectReadable();
    return (await pictures.load(undefined)).images;
  } finally {
    await pictures.close();
  }
}
