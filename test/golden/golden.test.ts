import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { recordOf } from "./record.ts";
import { subjects } from "./subjects.ts";

const folder = fileURLToPath(new URL("expected/", import.meta.url));
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";

for (const { name, files } of subjects) {
  test(`the files of ${name} are those that were recorded`, async () => {
    const records = Object.entries(await files()).map(
      ([file, bytes]) => `# ${file}\n${recordOf(file, bytes)}`,
    );
    const path = `${folder}${name}.txt.gz`;
    if (isUpdate) {
      await mkdir(folder, { recursive: true });
      await writeFile(path, gzipSync(records.join("")));
      return;
    }
    expect(firstDifference(gunzipSync(await readFile(path)).toString(), records.join(""))).toBeUndefined();
  });
}

test("every record belongs to a subject", async () => {
  const names = subjects.map(({ name }) => `${name}.txt.gz`).sort();
  expect((await readdir(folder)).sort()).toEqual(names);
});

/** The first line that differs, other than digests, with the file it is of; the digest where nothing else tells the files apart. */
function firstDifference(expected: string, actual: string): string | undefined {
  if (expected === actual) return undefined;
  const [before, after] = [expected.split("\n"), actual.split("\n")];
  let file = "";
  let digest: string | undefined;
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    if (before[i]?.startsWith("# ")) file = before[i] ?? "";
    if (before[i] === after[i]) continue;
    const difference = `${file}\n  expected ${before[i]}\n  actual   ${after[i]}`;
    if (!before[i]?.startsWith("sha256 ")) return difference;
    digest ??= difference;
  }
  return digest;
}
