import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 as nodeCrc32 } from "node:zlib";
import { expect, test } from "vitest";
import { at } from "../../graph-builder/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { readZipEntry, withZip, zipEntries } from "../../runtime/node/zip.ts";
import { freeName, nameProblem, tidyName } from "../../web/page/own/class-names.ts";
import { crc32 } from "../../web/page/own/crc32.ts";
import { picturesByClass } from "../../web/page/own/folders.ts";
import { countRight, divide, inTurns } from "../../web/page/own/lesson.ts";
import { zipOf } from "../../web/page/own/zip.ts";
import { type LabelledFeatures, trainLastLayer } from "../../web/worker/last-layer.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();

test("a name of a class is a name of a folder, and no other class has it in any case", () => {
  expect(nameProblem("Cats", ["dogs"])).toBeUndefined();
  expect(nameProblem("Grüne Äpfel", [])).toBeUndefined();
  for (const name of ["", "a/b", "a\\b", "a:b", ".hidden", "end.", "runs", "Build", "__MACOSX", "a\u0000"])
    expect(nameProblem(name, [])).toMatch(/\.$/);
  expect(nameProblem("cats", ["Cats"])).toBe("Another class is called cats.");
  expect(tidyName("  green \t apples ")).toBe("green apples");
  expect(freeName(["Class 1", "class 2"])).toBe("Class 3");
});

/** The classes of paths, and the names of their files. */
function classesOf(...paths: readonly string[]): Record<string, string[]> {
  const files = paths.map((path) => ({ path, file: new File([], path.split("/").at(-1) ?? "") }));
  const classes = [...picturesByClass(files)];
  return Object.fromEntries(classes.map(([label, own]) => [label, own.map(({ name }) => name)]));
}

test("folders become classes as shake train --data takes them", () => {
  expect(classesOf("photos/cat/2.jpg", "photos/cat/1.JPG", "photos/dog/deep/3.webp", "photos/4.png")).toEqual(
    { cat: ["1.JPG", "2.jpg"], dog: ["3.webp"] },
  );
  expect(classesOf("photos/train/cat/1.png", "photos/val/cat/2.png", "photos/test/cat/3.png")).toEqual({
    cat: ["1.png", "2.png"],
  });
  expect(classesOf("cat/1.png", "dog/2.png", "dog/notes.txt", "loose.png")).toEqual({
    cat: ["1.png"],
    dog: ["2.png"],
  });
  expect(classesOf("p/.git/1.png", "p/__MACOSX/2.png", "p/runs/3.png", "p/cat/.4.png")).toEqual({});
});

test("an archive is read by another program: names in UTF-8, contents and their CRC-32", async () => {
  const contents = ["", "one", "x".repeat(70_000)].map((text) => new TextEncoder().encode(text));
  const entries = contents.map((content, i) => ({
    name: `your-pictures/Äpfel/${i}.png`,
    content: new Blob([content]),
    crc: crc32(content),
  }));
  for (const content of contents) expect(crc32(content)).toBe(nodeCrc32(content));
  const path = join(folder, "pictures.zip");
  writeFileSync(path, new Uint8Array(await zipOf(entries).arrayBuffer()));
  await withZip(path, async (file) => {
    const found = await zipEntries(file, path);
    expect(found.map(({ name }) => name)).toEqual(entries.map(({ name }) => name));
    for (const [i, entry] of found.entries())
      expect(new Uint8Array(await readZipEntry(file, entry, path))).toEqual(contents[i]);
  });
});

test("two of ten pictures are held out and one of four, and classes are sorted by name", () => {
  const ids = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
  const division = divide([
    { id: 1, name: "sun", pictures: ids(0, 10) },
    { id: 2, name: "empty", pictures: [] },
    { id: 3, name: "leaf", pictures: ids(100, 4) },
  ]);
  expect(division.classNames).toEqual(["leaf", "sun"]);
  expect(division.heldOut).toMatchObject([
    { id: 103, label: 0 },
    { id: 3, label: 1 },
    { id: 8, label: 1 },
  ]);
  expect(division.learnt).toHaveLength(11);
  expect(inTurns(division.heldOut).map(({ id }) => id)).toEqual([103, 3, 8]);
  expect(inTurns([...division.heldOut, { id: 9, label: 0 }]).map(({ id }) => id)).toEqual([103, 3, 8, 9]);
  expect(() => divide([{ id: 1, name: "sun", pictures: ids(0, 10) }])).toThrow(/not two classes/);
  expect(() =>
    divide([
      { id: 1, name: "sun", pictures: ids(0, 10) },
      { id: 2, name: "leaf", pictures: [100] },
    ]),
  ).toThrow("leaf has one picture: give each class at least 2, better ten.");
});

test("a last layer learns three classes of features, and can be stopped", async () => {
  const columns = 16;
  const labels = Uint8Array.from({ length: 90 }, (_, i) => i % 3);
  // a class has larger features at its own places
  const features = Float32Array.from({ length: 90 * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return Math.abs(Math.sin(7 * i)) + (column % 3 === labels[row] ? 0.4 : 0);
  });
  const lesson: LabelledFeatures = { features, labels, classes: 3 };
  const device = await openDevice("cpu", { threads: 1 });
  const training = trainLastLayer(lesson, device, new AbortController().signal);
  const losses: number[] = [];
  let next = await training.next();
  for (; !next.done; next = await training.next()) losses.push(next.value.loss);
  expect(at(losses, 0)).toBeCloseTo(Math.log(3), 3);
  const { weight, bias } = next.value;
  const [rows, offsets] = [weight.numbers(), bias.numbers()];
  const predictions = Uint8Array.from({ length: 90 }, (_, row) => {
    const logits = offsets.map((offset, label) =>
      features
        .subarray(row * columns, (row + 1) * columns)
        .reduce((sum, value, i) => sum + value * at(rows, label * columns + i), offset),
    );
    return logits.indexOf(Math.max(...logits));
  });
  expect(countRight(labels, predictions)).toBeGreaterThan(85);

  const stopping = new AbortController();
  const stopped = trainLastLayer(lesson, device, stopping.signal);
  await stopped.next();
  stopping.abort();
  expect((await stopped.next()).done).toBe(true);
});
