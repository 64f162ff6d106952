import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { create } from "tar";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parseCsv } from "../../../../../runtime/node/data/own/csv.ts";
import { classesOf, divide } from "../../../../../runtime/node/data/own/division.ts";
import { listPictures, ownDataPath } from "../../../../../runtime/node/data/own/own-pictures.ts";
import { writeFiles, zipOf } from "../../../../support/picture-folder.ts";
import { temporaryFolder } from "../../../../support/shake.ts";

const folder = temporaryFolder();
let number = 0;

/** A new folder with files that are not pictures but have their names. */
function made(...names: string[]): string {
  const root = join(folder, `data${number++}`);
  writeFiles(root, Object.fromEntries(names.map((name) => [name, name])));
  return root;
}

async function listed(root: string) {
  const { pictures, notices } = await listPictures(root);
  return { pictures: pictures.map(({ name, label, split }) => [name, label, split]), notices };
}

beforeEach(() => vi.stubEnv("SHAKE_CACHE_DIR", join(folder, "cache")));
afterEach(() => vi.unstubAllEnvs());

describe("a folder", () => {
  test("has a class in each folder, with pictures of any depth and names in any case", async () => {
    const root = made("b/1.JPG", "b/deep/2.webp", "a/3.tiff", "a/notes.txt", "b/.hidden.png");
    expect((await listed(root)).pictures).toEqual([
      ["a/3.tiff", "a", undefined],
      ["b/1.JPG", "b", undefined],
      ["b/deep/2.webp", "b", undefined],
    ]);
  });

  test.each([
    ["training", "valid"],
    ["train", "validation"],
    ["Train", "eval"],
  ])("with %s and %s is divided into splits, and test is a split of its own", async (train, val) => {
    const root = made(`${train}/a/1.png`, `${train}/b/2.png`, `${val}/a/3.png`, "test/b/4.png", "more/5.png");
    const { pictures, notices } = await listed(root);
    expect(new Map(pictures.map(([name, , split]) => [String(name).split("/")[0], split]))).toEqual(
      new Map([
        [train, "train"],
        [val, "val"],
        ["test", "test"],
      ]),
    );
    expect(notices).toEqual(["The folder more is neither train, val nor test, and is left out."]);
  });

  test("with a class train that holds pictures is not divided", async () => {
    const { pictures } = await listed(made("train/1.png", "car/2.png"));
    expect(pictures.map(([, label]) => label)).toEqual(["car", "train"]);
  });

  test("leaves out what programs leave in it", async () => {
    const root = made(
      "a/1.png",
      "b/2.png",
      "__MACOSX/a/1.png",
      "runs/x.png",
      ".git/x.png",
      "b/Thumbs.db",
      "x.png",
    );
    const { pictures, notices } = await listed(root);
    expect(pictures.map(([, label]) => label)).toEqual(["a", "b"]);
    expect(notices).toEqual([
      "The folder runs is not taken for a class.",
      "Pictures beside the folders of classes are left out: 1.",
    ]);
  });

  test("follows a link to a class", async () => {
    const root = made("a/1.png");
    symlinkSync(made("x/2.png"), join(root, "b"));
    expect((await listed(root)).pictures).toHaveLength(2);
  });

  test("without folders is refused with what it has", async () => {
    await expect(listPictures(made("1.png", "2.png"))).rejects.toThrow(
      /no folders of classes but 2 pictures/,
    );
  });

  test("with val and valid is refused", async () => {
    const root = made("train/a/1.png", "val/a/1.png", "valid/a/1.png");
    await expect(listPictures(root)).rejects.toThrow(/two folders for the same pictures, val and valid/);
  });
});

describe("classes", () => {
  test("are sorted by name", async () => {
    const listing = await listPictures(made("b/1.png", "a/1.png", "B/1.png"));
    expect(classesOf(listing, "d")).toEqual(["B", "a", "b"]);
  });

  test.each([
    [
      "a class in validation alone",
      ["train/cat/1.png", "train/dog/1.png", "val/Cat/1.png"],
      /class Cat in val, which the training pictures have not.*cat/,
    ],
    ["a single class", ["a/1.png"], /a single class, a/],
    ["a class without pictures", ["a/1.png", "b/1.png", "c/readme.txt"], /class c of .* has no pictures/],
  ])("refuse %s", async (_, names, message) => {
    const listing = await listPictures(made(...names));
    expect(() => classesOf(listing, "data")).toThrow(message);
  });

  test("of a model that the folder has not are allowed, others are named", async () => {
    const listing = await listPictures(made("a/1.png", "b/1.png"));
    expect(classesOf(listing, "d", ["c", "b", "a"])).toEqual(["c", "b", "a"]);
    expect(() => classesOf(listing, "d", ["a", "c"])).toThrow(/class b, which the model does not know/);
  });
});

describe("archives", () => {
  const names = ["photos/a/1.png", "photos/b/2.png", "__MACOSX/photos/a/1.png", "photos/readme.txt"];
  const files = Object.fromEntries(names.map((name) => [name, Buffer.from(name)]));

  test("a .zip of one folder is that folder, and nothing is written outside of it", async () => {
    const root = made("x");
    writeFiles(root, { "p.zip": zipOf({ ...files, "../../../evil.png": Buffer.from("x") }) });
    const { pictures } = await listed(join(root, "p.zip"));
    expect(pictures.map(([name]) => name)).toEqual(["a/1.png", "b/2.png"]);
  });

  test.each(["p.tar", "p.tar.gz"])("a %s too", async (name) => {
    const root = made(...names);
    await create({ file: join(root, name), cwd: root, gzip: name.endsWith("gz") }, ["photos"]);
    const { pictures } = await listed(join(root, name));
    expect(pictures.map(([each]) => each)).toEqual(["a/1.png", "b/2.png"]);
  });

  test("a .zip that was replaced is unpacked again", async () => {
    const root = made("x");
    writeFiles(root, { "p.zip": zipOf(files) });
    await listPictures(join(root, "p.zip"));
    writeFiles(root, { "p.zip": zipOf({ ...files, "photos/a/3.png": Buffer.from("3") }) });
    expect((await listed(join(root, "p.zip"))).pictures).toHaveLength(3);
  });

  test.each(["p.zip", "p.tar.gz"])("a %s that was cut off is refused", async (name) => {
    const root = made(...names);
    await create({ file: join(root, "p.tar.gz"), cwd: root, gzip: true }, ["photos"]);
    writeFiles(root, { [name]: zipOf(files).subarray(0, 60) });
    await expect(listPictures(join(root, name))).rejects.toThrow(/p\.(zip|tar\.gz) cannot be unpacked/);
  });
});

describe("an archive that cannot be used", () => {
  const picture = Buffer.from("1");
  test.each([
    [
      "a picture in the place of a folder",
      { "a/1.png": picture, "a/1.png/2.png": picture },
      /p\.zip cannot be unpacked: a\/1\.png\/2\.png cannot be written, something else has that name\.$/,
    ],
    [
      "a name that is too long",
      { [`${"c".repeat(300)}/1.png`]: picture },
      /p\.zip cannot be unpacked: c{300}\/1\.png cannot be written, the name is too long\.$/,
    ],
    ["no picture", { "readme.txt": picture }, /p\.zip has no folders of classes and no pictures: /],
  ])("with %s is named itself, not a folder of the cache", async (_, files, message) => {
    const root = made();
    writeFiles(root, { "p.zip": zipOf(files) });
    await expect(listPictures(join(root, "p.zip"))).rejects.toThrow(message);
  });
});

describe("a hostile archive", () => {
  const zip = zipOf({ "a/1.png": Buffer.from("a picture"), "b/2.png": Buffer.from("another") });

  test("whose pictures take more room than the cache has is refused before it is unpacked", async () => {
    const root = made("photos/a/1.png");
    writeFiles(root, { "p.zip": zip });
    await create({ file: join(root, "p.tar"), cwd: root }, ["photos"]);
    vi.stubEnv("SHAKE_CACHE_GB", "0.000000001");
    for (const name of ["p.zip", "p.tar"])
      await expect(listPictures(join(root, name))).rejects.toThrow(
        `${name} cannot be unpacked: its pictures take more than the 1e-9 GB that the cache may have`,
      );
  });

  test.each(["abc", "0", "-1"])("is refused where the cache may have %s gigabytes", async (gigabytes) => {
    const root = made();
    writeFiles(root, { "p.zip": zip });
    vi.stubEnv("SHAKE_CACHE_GB", gigabytes);
    await expect(listPictures(join(root, "p.zip"))).rejects.toThrow(
      `SHAKE_CACHE_GB must be a number of gigabytes above 0, not ${gigabytes}.`,
    );
  });

  test("with a picture that is not what its checksum says is refused", async () => {
    const root = made();
    const altered = Buffer.from(zip);
    altered.writeUInt32LE(7, altered.indexOf("PK\x01\x02", 0, "latin1") + 16);
    writeFiles(root, { "p.zip": altered });
    await expect(listPictures(join(root, "p.zip"))).rejects.toThrow(
      "cannot be unpacked: a/1.png is damaged.",
    );
  });

  test.each([
    ["an end record that is cut off", Buffer.concat([zip, Buffer.from("PK\x05\x06\x00")])],
    [
      "a 64-bit directory and nothing before it",
      Buffer.concat([Buffer.from("PK\x05\x06"), Buffer.alloc(18, 255)]),
    ],
  ])("with %s is refused", async (_, bytes) => {
    const root = made();
    writeFiles(root, { "p.zip": bytes });
    await expect(listPictures(join(root, "p.zip"))).rejects.toThrow(/p\.zip cannot be unpacked: /);
  });

  test.skipIf(process.platform === "win32")("that is a FIFO is refused and not waited for", async () => {
    const root = made("x");
    for (const name of ["p.zip", "p.tar", "p.csv"]) {
      execFileSync("mkfifo", [join(root, name)]);
      await expect(listPictures(join(root, name))).rejects.toThrow("it is a FIFO, not a file");
    }
  });
});

describe("a CSV file", () => {
  test("has paths relative to it, with or without a first row of names, and splits", async () => {
    const root = made("1.png");
    writeFiles(root, {
      "a.csv": 'label,path,split\r\n"a, b",1.png,train\nc,sub/2.png,valid\n',
      "b.csv": "1.png,a\n2.png,b",
    });
    const named = await listPictures(join(root, "a.csv"));
    expect(named.pictures).toEqual([
      { path: join(root, "1.png"), name: "1.png", label: "a, b", split: "train" },
      { path: join(root, "sub/2.png"), name: "sub/2.png", label: "c", split: "val" },
    ]);
    expect((await listed(join(root, "b.csv"))).pictures).toEqual([
      ["1.png", "a", undefined],
      ["2.png", "b", undefined],
    ]);
  });

  test.each([
    [
      "semicolons between the columns",
      "path;label\n1.png;a\n",
      /row 1 lacks .*, with commas between them, not semicolons/,
    ],
    ["tabs between the columns", "1.png\ta\n", /row 1 lacks .*, not tabs/],
    [
      "UTF-16",
      Buffer.from("\ufeffpath,label\n1.png,a\n", "utf16le"),
      /not in UTF-8: save it as CSV in UTF-8/,
    ],
    ["Latin-1", Buffer.from("path,label\n1.png,ch\u00e4t\n", "latin1"), /not in UTF-8/],
    ["a row without a label", "path,label\n1.png,\n", /row 2 lacks a path or a label/],
    ["a split that is none", "1.png,a,x\n", /row 1 has the split x/],
    ["an open quotation mark", '1.png,"a\n', /quotation mark is not closed/],
  ])("with %s is refused", async (_, text, message) => {
    const root = made("1.png");
    writeFiles(root, { "a.csv": text });
    await expect(listPictures(join(root, "a.csv"))).rejects.toThrow(message);
  });

  test("may double its quotation marks and leave out its last line's end", () => {
    expect(parseCsv('a,"say ""x""",\n\n1,2,')).toEqual([
      ["a", 'say "x"', ""],
      ["1", "2"],
    ]);
  });
});

describe("divide", () => {
  const pictures = Array.from({ length: 40 }, (_, i) => ({
    path: "",
    name: `${i}`,
    label: i < 35 ? "a" : "b",
    split: undefined,
    hash: `${i}`,
  }));
  const options = { valSplit: 0.1, splitSeed: 0 };
  const heldOut = (splits: readonly string[]) => splits.flatMap((split, i) => (split === "val" ? [i] : []));

  test("holds out a share of every class, whatever the order of the files", () => {
    const found = heldOut(divide(pictures, options));
    expect(found.filter((i) => i < 35)).toHaveLength(4);
    expect(found.filter((i) => i >= 35)).toHaveLength(1);
    const turned = heldOut(divide([...pictures].reverse(), options)).map((i) => 39 - i);
    expect(turned.sort((x, y) => x - y)).toEqual(found);
  });

  test("holds out other pictures by another seed", () => {
    expect(heldOut(divide(pictures, { ...options, splitSeed: 1 }))).not.toEqual(
      heldOut(divide(pictures, options)),
    );
  });

  test("keeps equal files together, and a single picture for training", () => {
    const twins = [...pictures, ...pictures.filter(({ label }) => label === "a")];
    const splits = divide(twins, options);
    for (let i = 0; i < 35; i++) expect(splits[40 + i]).toBe(splits[i]);
    expect(divide(pictures.slice(34, 35), options)).toEqual(["train"]);
  });
});

test("a known data set's name wins over a folder of that name, which is then ./NAME", async () => {
  mkdirSync(join(folder, "shapes"), { recursive: true });
  vi.spyOn(process, "cwd").mockReturnValue(folder);
  expect(await ownDataPath("shapes")).toBeUndefined();
  expect(await ownDataPath(join(folder, "shapes"))).toBe(join(folder, "shapes"));
  await expect(ownDataPath("shape")).rejects.toThrow(
    /--data must be one of .*, not shape\. Did you mean shapes/,
  );
  vi.restoreAllMocks();
});
