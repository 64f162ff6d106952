import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { ownPage } from "../support/own-page.ts";

const { openTab } = ownPage();

const card = (page: Page, index: number) => page.locator("[data-class-id]").nth(index);
const counts = (page: Page) => page.locator(".own-count").allInnerTexts();

test("drawings fill a class, by a pointer and by the keyboard, and are recognised", async () => {
  const { page, errors } = await openTab();
  const canvas = page.locator("#drawing-canvas");
  const drawLine = async (isUpright: boolean, place: number) => {
    const { x = 0, y = 0, width = 0 } = (await canvas.boundingBox()) ?? {};
    const [along, across] = [
      [0.15, 0.85],
      [place, place],
    ] as const;
    const point = (i: 0 | 1): [number, number] =>
      isUpright
        ? [x + across[i] * width, y + along[i] * width]
        : [x + along[i] * width, y + across[i] * width];
    await page.mouse.move(...point(0));
    await page.mouse.down();
    await page.mouse.move(...point(1), { steps: 4 });
    await page.mouse.up();
  };
  for (const [index, isUpright] of [true, false].entries()) {
    await card(page, index).locator(".own-draw").click();
    expect(await page.isDisabled("#drawing-done")).toBe(true);
    for (let i = 0; i < 5; i++) {
      await drawLine(isUpright, 0.3 + 0.1 * i);
      await page.click("#drawing-done");
      await expect.poll(() => page.isDisabled("#drawing-done")).toBe(true);
    }
    await page.click("#drawing-close");
  }
  await drawByKeyboard(page);
  await expect.poll(() => counts(page)).toEqual(["5 pictures", "6 pictures"]);
  await page.click("#own-train");
  await expect.poll(() => page.innerText("#own-training")).toMatch(/^Done/);
  await page.click("#own-try-draw");
  await drawLine(true, 0.55);
  await page.click("#drawing-done");
  await expect.poll(() => page.innerText("#own-answer")).toMatch(/^Recognised as Class 1 /);
  expect(errors).toEqual([]);
});

/** Draws a line from left to right into the second class, and adds it, without a pointer. */
async function drawByKeyboard(page: Page): Promise<void> {
  const pen = page.locator("#drawing-pen");
  const press = async (key: string, times = 1) => {
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
  };
  await card(page, 1).locator(".own-draw").focus();
  await press("Enter");
  expect(await page.getByRole("application", { name: "Drawing pad" }).isVisible()).toBe(true);
  const before = await pen.boundingBox();
  await press("ArrowLeft", 14);
  const after = await pen.boundingBox();
  expect((before?.x ?? 0) - (after?.x ?? 0)).toBeCloseTo(14 * 8, 0);
  expect(await page.isDisabled("#drawing-done")).toBe(true);
  await press("Space");
  expect(await page.innerText("#drawing-state")).toBe("Pen down");
  await press("ArrowRight", 28);
  await press("Space");
  await press("ArrowDown", 4);
  expect(await page.innerText("#drawing-state")).toBe("Pen up");
  const drawn = await page.locator("#drawing-canvas").evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext("2d")?.getImageData(0, 0, 288, 288) ?? { data: [] };
    return [144, 176].map((row) => [40, 144, 248].map((column) => data[4 * (288 * row + column)]));
  });
  expect(drawn).toEqual([
    [0, 0, 0],
    [255, 255, 255],
  ]);
  await press("Tab");
  await press("Enter");
  await expect.poll(() => page.isDisabled("#drawing-done")).toBe(true);
  await press("Escape");
  expect(await page.isVisible("#drawing")).toBe(false);
}
