import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { operatorsPage } from "./page.ts";

// `UPDATE_DOCS=1 npx vitest run test/operators` writes the page again.
const path = fileURLToPath(new URL("../../docs/operators.md", import.meta.url));

test("docs/operators.md says what the tables of the code say", async () => {
  const page = await operatorsPage();
  if (process.env["UPDATE_DOCS"] === "1") await writeFile(path, page);
  expect(await readFile(path, "utf8")).toBe(page);
});
