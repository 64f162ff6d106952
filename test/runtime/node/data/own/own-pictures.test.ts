import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  listPictures,
  memoryFor,
  OwnPictures,
  type OwnPicturesOptions,
} from "../../../../../runtime/node/data/own/own-pictures.ts";
import { colourPictures, png, writeFiles } from "../../../../support/picture-folder.ts";
import { temporaryFolder } from "../../../../support/shake.ts";

const folder = temporaryFolder();
let number = 0;
let root: string;
let cache: string;
const toClose: OwnPictures[] = [];

beforeEach(() => {
  root = join(folder, `data${number++}`);
  cache = `${root}-cache`;
  vi.stubEnv("SHAKE_CACHE_DIR", cache);
});
afterEach(async () => {
  for (const pictures of toClose.splice(0)) await pictures.close();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const size = { channels: 3, height: 8, width: 8 };

async function opened(options: Partial<OwnPicturesOptions> = {}): Promise<OwnPictures> {
  const own = { size, valSplit: 0.1, splitSeed: 0, ...options };
  const pictures = await OwnPictures.open(await listPictures(root), own);
  toClose.push(pictures);
  return pictures;
}

/** The first pixel of each picture of a split, by name. */
async function colours(pictures: OwnPictures, split: "train" | "val" = "train") {
  const { images } = await pictures.load(split);
  const { channels, height, width } = pictures.size;
  const area = height * width;
  const colour = (i: number) =>
    Array.from({ length: channels }, (_, c) => images[(i * channels + c) * area + area - 1]);
  return Object.fromEntries(pictures.split(split).map(({ name }, i) => [name, colour(i)]));
}

/** How often a picture was decoded since the last call. */
function decodes() {
  const spy = vi.spyOn(sharp.prototype, "metadata");
  return () => {
    const { length } = spy.mock.calls;
    spy.mockClear();
    return length;
  };
}

describe("pictures", () => {
  test("come out as a person sees them", async () => {
    const red = sharp({ create: { width: 16, height: 8, channels: 3, background: "#ff0000" } });
    const halves = red.composite([
      { input: { create: { width: 8, height: 8, channels: 3, background: "#0000ff" } }, left: 0, top: 0 },
    ]);
    const turned = await halves
      .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const cmyk = await sharp({ create: { width: 8, height: 8, channels: 3, background: "#00ff00" } })
      .toColourspace("cmyk")
      .jpeg()
      .toBuffer();
    const deep = await sharp({ create: { width: 8, height: 8, channels: 3, background: "#804020" } })
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    const palette = await sharp(await png("#102030"))
      .png({ palette: true })
      .toBuffer();
    const grey = await sharp(await png("#808080"))
      .greyscale()
      .png()
      .toBuffer();
    writeFiles(root, {
      "a/turned.jpg": turned,
      "a/cmyk.jpg": cmyk,
      "b/deep.png": deep,
      "b/palette.png": palette,
      "b/grey.png": grey,
    });
    const found = await colours(await opened({ valSplit: 0 }));
    // turned by 90 degrees to the right, so that red is at the bottom
    expect(found["a/turned.jpg"]?.map((v) => Math.round((v ?? 0) / 64))).toEqual([4, 0, 0]);
    // the green that the inks can print, in red, green and blue
    const [r = 0, g = 0, b = 0] = found["a/cmyk.jpg"] ?? [];
    expect(g > r && r > 100 && b < 40).toBe(true);
    expect(found["b/deep.png"]).toEqual([0x80, 0x40, 0x20]);
    expect(found["b/palette.png"]).toEqual([0x10, 0x20, 0x30]);
    expect(found["b/grey.png"]).toEqual([0x80, 0x80, 0x80]);
  });

  test("with transparent pixels are laid on the mean colour of the others", async () => {
    const clear = await sharp({
      create: { width: 8, height: 8, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } },
    })
      .png()
      .toBuffer();
    writeFiles(root, {
      "a/clear.png": clear,
      "a/1.png": await png("#640000", 0x64),
      "b/2.png": await png("#c80064", 0xc8),
      "b/3.png": await png("#ff0000", 255),
    });
    const pictures = await opened({ valSplit: 0 });
    const [r = 0, g = 0, b = 0] = pictures.background;
    expect(Math.abs(r - (0x64 + 0xc8 + 0xff) / 3)).toBeLessThan(1);
    expect([g, Math.round(b / 8)]).toEqual([0, Math.round(33 / 8)]);
    expect((await colours(pictures))["a/clear.png"]).toEqual([r, g, b]);
    const given = await opened({ valSplit: 0, background: [1, 2, 3] });
    expect((await colours(given))["a/clear.png"]).toEqual([1, 2, 3]);
  });

  test("that are removed while others are decoded are named", async () => {
    const background = { r: 9, g: 9, b: 9, alpha: 0 };
    // a transparent picture is read again when the others are decoded
    const clear = await sharp({ create: { width: 8, height: 8, channels: 4, background } })
      .png()
      .toBuffer();
    writeFiles(root, { "a/clear.png": clear, "a/1.png": await png("red"), "b/2.png": await png("blue") });
    const onProgress = () => rmSync(join(root, "a/clear.png"), { force: true });
    await expect(opened({ valSplit: 0, onProgress })).rejects.toThrow(
      `${join(root, "a/clear.png")} does not exist.`,
    );
  });

  test("keep grey and alpha where that is asked for", async () => {
    const half = await sharp({
      create: { width: 8, height: 8, channels: 4, background: { r: 200, g: 0, b: 0, alpha: 0.5 } },
    })
      .png()
      .toBuffer();
    writeFiles(root, { "a/half.png": half, "b/red.png": await png("#ff0000", 255) });
    const grey = await opened({ valSplit: 0, size: { ...size, channels: 1 } });
    expect((await colours(grey))["b/red.png"]).toEqual([76]);
    const rgba = await opened({ valSplit: 0, size: { ...size, channels: 4 } });
    expect(await colours(rgba)).toEqual({ "a/half.png": [200, 0, 0, 128], "b/red.png": [255, 0, 0, 255] });
  });

  test("that are cut off, many at once, have one reason, and not what libvips says of others", async () => {
    const noise = Buffer.from(Float64Array.from({ length: 3750 }, (_, i) => Math.sin(i * i)).buffer);
    const whole = await sharp(noise, { raw: { width: 100, height: 100, channels: 3 } })
      .png()
      .toBuffer();
    const cut = Object.fromEntries(
      Array.from({ length: 24 }, (_, i) => [`red/${i}.png`, whole.subarray(0, 9000 + 300 * i)]),
    );
    writeFiles(root, { ...(await colourPictures({ red: 2, blue: 2 })), ...cut });
    const { broken } = await opened();
    expect(new Set(broken.map(({ fault }) => fault))).toEqual(new Set(["it is damaged or was cut off"]));
    expect(broken.length).toBe(24);
  });

  test("that are broken are left out and named with a reason", async () => {
    const whole = await colourPictures({ red: 22, blue: 22 });
    const cut = (
      await sharp(await png("red", 1, 200))
        .jpeg()
        .toBuffer()
    ).subarray(0, 400);
    writeFiles(root, {
      ...whole,
      "red/cut.jpg": cut,
      "red/none.png": "",
      "blue/text.png": "not a picture",
      "blue/x.bmp": "BM123456",
    });
    const pictures = await opened();
    pictures.expectTrainable();
    expect(Object.fromEntries(pictures.broken.map(({ name, fault }) => [name, fault]))).toEqual({
      "red/cut.jpg": "it is damaged or was cut off",
      "red/none.png": "it is empty",
      "blue/text.png": expect.stringMatching(/format/),
      "blue/x.bmp": "it is damaged or was cut off",
    });
    expect(pictures.counts("train")).toEqual([20, 20]);
    expect(pictures.counts("val")).toEqual([2, 2]);
  });

  test.skipIf(process.platform === "win32")(
    "that are a FIFO, a device or a folder in a list count as broken, and are not waited for",
    async () => {
      const files = await colourPictures({ red: 20, blue: 20 });
      const rows = [...Object.keys(files).map((name) => `${name},${name.split("/")[0]}`)];
      writeFiles(root, {
        ...files,
        "list.csv": [...rows, "fifo,red", "/dev/zero,red", "blue,blue"].join("\n"),
      });
      execFileSync("mkfifo", [join(root, "fifo")]);
      root = join(root, "list.csv");
      const pictures = await opened();
      expect(pictures.broken.map(({ name, fault }) => [name, fault])).toEqual([
        ["fifo", "it is no file"],
        ["/dev/zero", "it is no file"],
        ["blue", "it is no file"],
      ]);
      expect(pictures.split()).toHaveLength(40);
    },
  );

  test("are refused where more than a tenth are broken, and where a class has none left", async () => {
    writeFiles(root, { ...(await colourPictures({ red: 8, blue: 8 })), "red/a.png": "", "red/b.png": "" });
    const pictures = await opened();
    expect(() => pictures.expectTrainable()).toThrow(
      /2 of 18 pictures cannot be read, such as red\/a\.png \(it is empty\)/,
    );
    writeFiles(root, { ...(await colourPictures({ red: 30 })), "green/a.png": "" });
    const greens = await opened();
    expect(() => greens.expectTrainable()).toThrow(/class green has no training picture that can be read/);
  });
});

describe("the cache", () => {
  test("decodes a picture once, and again where its content or the size changes", async () => {
    writeFiles(root, await colourPictures({ red: 4, blue: 4 }));
    const count = decodes();
    await opened();
    expect(count()).toBe(8);
    await opened();
    expect(count()).toBe(0);
    const { atime, mtime } = statSync(join(root, "red/1.png"));
    writeFiles(root, { "red/1.png": await png("#fe0000", 1) });
    // even where the file has the size and the time of the old one
    utimesSync(join(root, "red/1.png"), atime, mtime);
    const changed = await opened({ valSplit: 0 });
    expect(count()).toBe(1);
    expect((await colours(changed))["red/1.png"]).toEqual([0xfe, 0, 0]);
    await opened({ size: { ...size, height: 4, width: 4 } });
    expect(count()).toBe(8);
  });

  test("knows pictures by their content: a moved folder is not decoded again", async () => {
    writeFiles(root, await colourPictures({ red: 3, blue: 3 }));
    await opened();
    renameSync(root, `${root}-moved`);
    root = `${root}-moved`;
    writeFiles(root, { "blue/new.png": await png("#0000fe") });
    const count = decodes();
    expect(Object.keys(await colours(await opened({ valSplit: 0 })))).toHaveLength(7);
    expect(count()).toBe(1);
  });

  test("that was damaged is made anew, and leaves no temporary file", async () => {
    writeFiles(root, await colourPictures({ red: 3, blue: 3 }));
    await opened();
    const [pack = ""] = readdirSync(join(cache, "pictures"));
    writeFiles(join(cache, "pictures"), { [pack]: "damaged" });
    expect((await colours(await opened({ valSplit: 0 })))["red/1.png"]).toEqual([255, 0, 0]);
    expect(readdirSync(join(cache, "pictures"))).toEqual([pack]);
  });

  test("keeps what an interrupted call has decoded, part by part, and removes the parts at the end", async () => {
    writeFiles(root, await colourPictures({ red: 8, blue: 8 }));
    const stop = (done: number) => {
      if (done === 12) throw new Error("interrupted");
    };
    await expect(opened({ partSize: 5, onProgress: stop })).rejects.toThrow("interrupted");
    expect(readdirSync(join(cache, "pictures")).filter((name) => /\.part\d\.pack$/.test(name))).toHaveLength(
      2,
    );
    const count = decodes();
    const progress: number[] = [];
    const pictures = await opened({ partSize: 5, valSplit: 0, onProgress: (done) => progress.push(done) });
    expect(count()).toBe(6);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(pictures.counts("train")).toEqual([8, 8]);
    expect((await colours(pictures))["red/1.png"]).toEqual([255, 0, 0]);
    expect(readdirSync(join(cache, "pictures"))).toHaveLength(1);
  });

  test("with an altered row, or an altered index, never gives other pixels", async () => {
    writeFiles(root, await colourPictures({ red: 3, blue: 3 }));
    const right = await colours(await opened({ valSplit: 0 }));
    const [name = ""] = readdirSync(join(cache, "pictures"));
    const path = join(cache, "pictures", name);
    const whole = readFileSync(path);
    for (const place of [5, whole.indexOf('"bytes":') + 8]) {
      const altered = Buffer.from(whole);
      altered[place] = (altered[place] ?? 0) ^ 1;
      writeFiles(join(cache, "pictures"), { [name]: altered });
      const found = await opened({ valSplit: 0 }).then(
        (pictures) => colours(pictures),
        (error: unknown) => error,
      );
      if (found instanceof Error)
        expect(found.message).toBe(
          `${path}, the file of decoded pictures, is damaged and was removed: run again, and they are decoded again.`,
        );
      else expect(found).toEqual(right);
      expect(await colours(await opened({ valSplit: 0 }))).toEqual(right);
    }
  });

  test("a picture that was removed is gone", async () => {
    writeFiles(root, await colourPictures({ red: 3, blue: 3 }));
    await opened();
    rmSync(join(root, "red/0.png"));
    expect((await opened({ valSplit: 0 })).counts("train")).toEqual([3, 2]);
  });
});

test("labels of more than 256 classes are whole", async () => {
  writeFiles(root, await colourPictures({ red: 1, blue: 1 }));
  const classNames = ["red", ...Array.from({ length: 299 }, (_, i) => `class ${i}`), "blue"];
  const { labels } = await (await opened({ valSplit: 0, classNames })).load("train");
  expect([...labels].sort((a, b) => a - b)).toEqual([0, 300]);
});

test("more pictures than the memory holds are refused in one sentence", () => {
  expect(() => memoryFor(2 ** 40, { channels: 3, height: 224, width: 224 }, "photos")).toThrow(
    /^photos: 1,099,511,627,776 pictures of 3 x 224 x 224 take \d+\.\d GB of memory, .* \(--image-size\)\.$/,
  );
});
