import { expect, test } from "vitest";
import { createBuilder, createModel, encodeModel, Graph } from "../../graph-builder/index.ts";
import { demoSite, examples, expectedPercents, expectPercents } from "../support/demo-site.ts";
import { pictureModel } from "../support/picture-models.ts";
import { spinningModel } from "../support/spinning-model.ts";

const demo = demoSite();

/** Opens a file as a model. */
async function give(page: Awaited<ReturnType<typeof demo.open>>["page"], name: string, bytes: Uint8Array) {
  await page.setInputFiles("#model-file", { name, mimeType: "", buffer: Buffer.from(bytes) });
}

/** A classifier of 32 x 32 whose scores are repeated for so many classes. */
function ofClasses(classes: number): Uint8Array {
  const g = createBuilder(new Graph("wide"));
  const x = g.input("x", "float", ["batch", 3, 32, 32]);
  g.output(g.Expand(g.Flatten(g.ReduceMean(x, { axes: [1, 2, 3] })), g.int64([1, classes])), "y");
  return encodeModel(createModel(g.graph));
}

/** A graph that adds two texts, or takes no picture. */
function ofType(type: "string" | "double", shape: readonly (string | number)[]): Uint8Array {
  const g = createBuilder(new Graph("other"));
  g.output(g.Identity(g.input("x", type, shape)), "y");
  return encodeModel(createModel(g.graph));
}

test("a hostile model gives a sentence, and the page goes on with the one before", async () => {
  const { page } = await demo.open();
  const sound = encodeModel(pictureModel({ side: 32 }));
  for (const [name, bytes] of [
    ["cut.onnx", sound.slice(0, sound.length / 2)],
    ["empty.onnx", new Uint8Array()],
    ["text.onnx", ofType("string", ["batch", 3, 32, 32])],
    ["flat.onnx", ofType("double", [7])],
    ["batch.onnx", encodeModel(pictureModel({ side: 32, batch: 1_000_000_000 }))],
    ["wide.onnx", ofClasses(1_200_000_000)],
  ] as const) {
    await give(page, name, bytes);
    const error = page.locator("#error");
    await error.waitFor();
    const text = await error.locator("p").innerText();
    expect(text, name).toMatch(/^[^\n]+[.?]$/);
    expect(text, name).not.toMatch(/has a bug/);
    await error.locator("button").click();
  }
  await page.locator("#examples button").nth(1).click();
  await expectPercents(page, await expectedPercents(`${demo.run}/model.onnx`, examples(2).subarray(3072)));
});

test("a network that was trained before a model was stopped can still be downloaded", async () => {
  const { page } = await demo.open();
  await page.click("#tab-train");
  for (const [name, value] of Object.entries({ width: "4", images: "500", batchSize: "128", device: "wasm" }))
    await page.selectOption(`#train-form [name=${name}]`, value);
  await page.fill("#train-form [name=epochs]", "1");
  await page.click("#start-training");
  await expect.poll(() => page.innerText("#training-status"), { timeout: 60_000 }).toMatch(/^Done\./);
  await give(page, "spin.onnx", spinningModel(32));
  await page.locator("#long-model button").click();
  await expect.poll(() => page.locator("#error p").innerText()).toBe("The model was stopped.");
  const waiting = page.waitForEvent("download");
  await page.click("#download-onnx");
  expect((await waiting).suggestedFilename()).toBe("trained-in-the-page.onnx");
});

test("a model that spins is said to take long, can be stopped, and leaves the one before", async () => {
  const { page } = await demo.open();
  await give(page, "spin.onnx", spinningModel(32));
  const note = page.locator("#long-model");
  await note.waitFor();
  expect(await note.locator("p").innerText()).toMatch(/^The model has computed for \d+ s\.$/);
  await note.locator("button").click();
  expect(await note.isVisible()).toBe(false);
  await expect.poll(() => page.locator("#error p").innerText()).toBe("The model was stopped.");
  // the worker still starts anew, and opens the model that was shown
  const second = page.locator("#examples button").nth(1);
  await second.click();
  const own = await expectedPercents(`${demo.run}/model.onnx`, examples(2).subarray(3072));
  await expectPercents(page, own);
  await page.locator("#device-wasm", { hasText: "ms a picture" }).waitFor();
  await expectPercents(page, own);
  expect(await second.getAttribute("aria-pressed")).toBe("true");
});
