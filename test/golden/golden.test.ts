import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { type Entry, recordOf } from "./record.ts";
import { subjects } from "./subjects.ts";

// `UPDATE_GOLDEN=1 npx vitest run test/golden` writes the records again.
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";
const folder = fileURLToPath(new URL("expected/", import.meta.url));

for (const { name, files } of subjects) {
  test(`every byte of ${name} is as recorded`, async () => {
    const actual = Object.entries(await files()).flatMap(([file, bytes]) => recordOf(file, bytes));
    const path = `${folder}${name}.txt.gz`;
    if (isUpdate) return write(path, actual);
    const expected = gunzipSync(await readFile(path))
      .toString()
      .split("\n");
    const difference = firstDifference(name, expected, actual);
    if (difference) expect.fail(difference);
  });
}

test("every record has a subject", async () => {
  const names = subjects.map(({ name }) => `${name}.txt.gz`).sort();
  const recorded = (await readdir(folder)).sort();
  if (!isUpdate) expect(recorded).toEqual(names);
  else for (const stale of recorded.filter((name) => !names.includes(name))) await rm(`${folder}${stale}`);
});

async function write(path: string, entries: readonly Entry[]): Promise<void> {
  const text = entries.map(({ line }) => line).join("\n");
  const old = await readFile(path).catch(() => undefined);
  // another version of zlib compresses the same text to other bytes
  if (old && gunzipSync(old).toString() === text) return;
  await mkdir(folder, { recursive: true });
  await writeFile(path, gzipSync(text, { level: 9 }));
}

/**
 * The first part that differs, under the first file that differs; the files' digests where all parts are
 * alike.
 */
function firstDifference(
  subject: string,
  expected: readonly string[],
  actual: readonly Entry[],
): string | undefined {
  const isHead = (line = "") => line.startsWith("file ");
  let digests: string | undefined;
  for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
    const [before, after] = [expected[i], actual[i]];
    if (before === after?.line) continue;
    const difference = `  expected: ${before ?? "nothing"}\n  actual:   ${after?.line ?? "nothing"}`;
    if (isHead(before) && isHead(after?.line) && before?.split(" ")[1] === after?.line.split(" ")[1]) {
      // all parts of the file before were alike
      if (digests) return digests;
      digests = `${subject}, ${before?.split(" ")[1]}\n${difference}`;
      continue;
    }
    const explained = after?.explain ? `\n  actual in full: ${after.explain().slice(0, 2000)}` : "";
    const count = actual.filter(({ line }, k) => !isHead(line) && line !== expected[k]).length;
    return `${digests ?? subject}\nThe first part that differs (of ${count}):\n${difference}${explained}`;
  }
  return digests;
}
