import { join } from "node:path";
import { expect, test } from "vitest";
import {
  demoSite,
  examples,
  expectedPercents,
  expectPercents,
  screenshot,
  shownPercents,
} from "../support/demo-site.ts";

const demo = demoSite();

async function openShake() {
  const opened = await demo.open();
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
  await screenshot(page, "shake");
  await page.click("#clear-draws");
  expect(await page.innerText("#spread")).toMatch(/^Each draw marks its probabilities/);
  expect(errors).toEqual([]);
});
