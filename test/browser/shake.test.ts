import { join } from "node:path";
import { expect, test } from "vitest";
import { demoSite, examples, expectedPercents, expectPercents, shownPercents } from "../support/demo-site.ts";
import { shake } from "../support/shake.ts";

const PIXELS = 3 * 32 * 32;
const demo = demoSite();

async function openShake() {
  const opened = await demo.openCommon();
  // the tab opens with the least certain picture; these tests use the first one
  await opened.page.locator("#examples button").first().click();
  await opened.page.click("#tab-shake");
  const sum = async () => (await shownPercents(opened.page, "shake-bars")).reduce((a, b) => a + b);
  await expect.poll(sum).toBeGreaterThan(99);
  return opened;
}

test("weights of 0.5 give the answer of the frozen network, and every block has a slider", async () => {
  const { page, errors } = await openShake();
  const expected = await expectedPercents(join(demo.run, "model.onnx"), examples(1));
  await expectPercents(page, expected, "shake-bars");
  expect(await page.locator("#blocks input[type=range]").count()).toBe(3);
  expect(errors).toEqual([]);
});

test("the slider of a block and the slider of all blocks change the answer, and a reset restores it", async () => {
  const { page, errors } = await openShake();
  const even = await shownPercents(page, "shake-bars");
  const slide = (selector: string, value: string) => page.locator(selector).first().fill(value);
  await slide("#blocks input[type=range]", "0.9");
  await expect.poll(() => shownPercents(page, "shake-bars")).not.toEqual(even);
  await slide("#alpha-all", "1");
  await expect.poll(() => page.locator("#blocks input[type=range]").nth(2).inputValue()).toBe("1");
  const oneBranch = await shownPercents(page, "shake-bars");
  expect(oneBranch).not.toEqual(even);
  await page.click("#even");
  await expectPercents(page, even, "shake-bars");
  expect(errors).toEqual([]);
});

test("200 random alphas mark the bars and give a sentence about the spread", async () => {
  const { page, errors } = await openShake();
  await page.click("#draw");
  await expect
    .poll(() => page.innerText("#spread"))
    .toMatch(/^200 draws: .+ is between .+ and .+; its median is /);
  const counted = () =>
    page
      .locator("#histogram .bin")
      .evaluateAll((bins) =>
        bins.reduce((sum, bin) => sum + Number((bin.getAttribute("title") ?? "").split(": ")[1]), 0),
      );
  expect(await counted()).toBe(200);
  await page.click("#clear-draws");
  expect(await page.locator("#histogram .bin").count()).toBe(0);
  expect(await page.innerText("#spread")).toMatch(/^Each draw marks its probabilities/);
  expect(errors).toEqual([]);
});

test.each([
  ["in a page that is there already", ""],
  ["from a link", "#shake"],
])("the tab opens with the least certain test picture, %s", async (_how, hash) => {
  const { page, errors } = await demo.open({ hash });
  const certainty = async (i: number) =>
    Math.max(
      ...(await expectedPercents(
        join(demo.run, "model.onnx"),
        examples(20).subarray(i * PIXELS, (i + 1) * PIXELS),
      )),
    );
  const certainties: number[] = [];
  for (let i = 0; i < 20; i++) certainties.push(await certainty(i));
  await page.click("#tab-shake");
  const shown = async () => Math.max(...(await shownPercents(page, "shake-bars")));
  await expect.poll(shown).toBeCloseTo(Math.min(...certainties), 0);
  expect(await page.locator("#shake-examples button").first().getAttribute("aria-pressed")).toBe("true");
  expect(errors).toEqual([]);
});

test("a step by batch has one alpha a block for all pictures, and one by image has them for each", async () => {
  const { page, errors } = await openShake();
  const alphas = () =>
    page
      .locator("#step-pictures .mixes")
      .evaluateAll((all) => all.map((each) => each.getAttribute("aria-label")));
  await page.click("#draw-step");
  await expect.poll(async () => new Set(await alphas()).size).toBe(10);
  await page.click("#step-level input[value=batch]");
  await expect.poll(async () => new Set(await alphas()).size).toBe(1);
  expect(await page.innerText("#step-text")).toMatch(
    /^All pictures have the same alphas.+ \d+ of 10 are recognised\. /,
  );
  expect(errors).toEqual([]);
});

test("the backward graph gives a branch no gradient where beta leaves it none", async () => {
  const { page, errors } = await openShake();
  await page.click("#draw-beta");
  const labels = () =>
    page
      .locator("#beta-drawing svg")
      .evaluateAll((all) => all.map((each) => each.getAttribute("aria-label")));
  await expect.poll(async () => (await labels()).length, { timeout: 60_000 }).toBe(3);
  for (const label of await labels())
    expect(label).toMatch(/Branch 1: 0\.0 to [\d.e-]+\. Branch 2: [\d.e-]+ to 0\.0\.$/);
  expect(errors).toEqual([]);
});

test("twelve blocks wrap where a stage ends, and have numbers that can be read, on every width", async () => {
  const { page, errors } = await demo.open();
  await shake(demo.folder, "build-graph", "--depth", "26", "--width", "4", "--out", "deep");
  await page.setInputFiles("#model-file", join(demo.folder, "deep", "checkpoint"));
  await page.click("#tab-shake");
  await expect.poll(() => page.locator("#blocks li").count()).toBe(12);
  for (const [width, columns] of [
    [360, 4],
    [768, 4],
    [1440, 12],
  ] as const) {
    await page.setViewportSize({ width, height: 800 });
    const tops = await page
      .locator("#blocks li")
      .evaluateAll((all) => all.map((each) => each.getBoundingClientRect().top));
    expect(tops.filter((top) => top === tops[0])).toHaveLength(columns);
    const heights = await page
      .locator("#blocks text")
      .evaluateAll((all) => all.map((each) => each.getBoundingClientRect().height));
    expect(Math.min(...heights)).toBeGreaterThan(10);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
  }
  expect(errors).toEqual([]);
});
