import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compilerDigest } from "../../../../runtime/node/compiled/compiler-digest.ts";
import { writeFiles } from "../../../support/picture-folder.ts";
import { temporaryFolder } from "../../../support/shake.ts";

const folder = temporaryFolder();
let number = 0;

const files = {
  "graph-builder/index.js": "export {};",
  "graph-builder/passes/fold.js": "export const fold = 1;",
  "artifacts/index.js": "export {};",
  "runtime/session/feeds.js": "export {};",
};

/** The digest of a package with these files. */
function digestOf(given: Readonly<Record<string, string>>): string | undefined {
  const root = join(folder, String(number++));
  writeFiles(root, given);
  return compilerDigest(root);
}

test("every program file of the compiler changes the digest, by its content and its name", () => {
  const { "graph-builder/passes/fold.js": fold, ...others } = files;
  const digests = [
    digestOf(files),
    ...Object.keys(files).map((name) => digestOf({ ...files, [name]: "export const other = 1;" })),
    digestOf({ ...files, "runtime/session/new.js": "" }),
    digestOf({ ...others, "graph-builder/passes/fold-2.js": fold }),
    digestOf(others),
  ];
  expect(digests).not.toContain(undefined);
  expect(new Set(digests).size).toBe(digests.length);
});

test("other files do not: the same program has the same digest", () => {
  const beside = { "graph-builder/index.d.ts": "export {};", "runtime/notes.md": "-", "cli/main.js": "-" };
  expect(digestOf({ ...files, ...beside })).toBe(digestOf(files));
});

test("a bundle, whose files are in other places, has none", () => {
  const root = join(folder, "bundle");
  writeFiles(root, files);
  rmSync(join(root, "artifacts"), { recursive: true });
  expect(compilerDigest(root)).toBeUndefined();
});

test("this package has one", () => {
  expect(compilerDigest()).toMatch(/^[0-9a-f]{64}$/);
});
