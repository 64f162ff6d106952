import { join } from "node:path";
import { expect, test } from "vitest";
import { ownPage } from "../support/own-page.ts";
import { ownPhoto } from "../support/own-photos.ts";
import { writeFiles } from "../support/picture-folder.ts";

const { folder, openTab } = ownPage();

test("folders whose names differ in case alone become one class", async () => {
  const { page, errors } = await openTab();
  for (const [i, name] of ["Leaf", "leaf", "sun"].entries())
    writeFiles(folder, { [`cases/${name}/${i}.png`]: await ownPhoto("leaf", i) });
  await page.setInputFiles("#own-folder", join(folder, "cases"));
  await expect.poll(() => page.locator(".own-count").allInnerTexts()).toEqual(["2 pictures", "1 picture"]);
  const names = await page
    .locator(".own-head input")
    .evaluateAll((all: HTMLInputElement[]) => all.map(({ value }) => value));
  expect(names).toEqual(["Leaf", "sun"]);
  expect(errors).toEqual([]);
});
