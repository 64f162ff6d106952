import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { demoSite, packagedSite } from "../support/demo-site.ts";

const demo = demoSite();

/** Runs `npm run demo` or `npm run build:web`, without the compilation, until it ends. */
function site(args: readonly string[]): Promise<{ code: number; output: string }> {
  const file = resolve("dist/web/site/main.js");
  return new Promise((done) => {
    execFile(process.execPath, [file, ...args], (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

test("without a run the page has the network of the package, whose drawings it recognises", async () => {
  const { page, errors } = await demo.open({ site: await packagedSite() });
  expect(await page.innerText("#model-line")).toBe("ShakeNet 14 2x32d on cifar10, test accuracy 94.7\u00a0%");
  expect(await page.innerText("#examples-title")).toBe("Drawings of its classes (not used for training)");
  expect(await page.isVisible("#more-examples")).toBe(false);
  expect(await page.locator("#examples li").count()).toBe(20);
  expect(await page.locator("#examples .right").count()).toBeGreaterThanOrEqual(15);
  await page.click("#tab-shake");
  await expect.poll(() => page.locator("#blocks li").count()).toBe(6);
  expect(errors).toEqual([]);
});

test("where the drawings cannot be loaded, the page says so and measures its devices all the same", async () => {
  const { page } = await demo.openBare({
    site: await packagedSite(),
    prepare: async (page) => {
      await page.route("**/model/pictures", (route) => route.fulfill({ status: 404 }));
    },
  });
  await expect
    .poll(() => page.innerText("#error p"))
    .toBe("The pictures could not be loaded from model/pictures.");
  await expect.poll(() => page.innerText("#status")).toBe("Ready");
  expect(await page.innerText("#device-webgpu")).toMatch(/^WebGPU: not used\. /);
  expect(await page.isVisible("#error")).toBe(true);
});

test("what is no finished run, and a port that is none, are sentences", async () => {
  const absent = await site(["demo", "--run", "no/such/run"]);
  expect(absent).toEqual({
    code: 2,
    output: "no/such/run is not the folder of a finished run: it lacks model.onnx or checkpoints/last.\n",
  });
  expect(await site(["demo", "--host", "--port", "x"])).toEqual({
    code: 2,
    output: "--port must be a number from 0 to 65535, not x.\n",
  });
  expect(await site(["demo", "--run", "no/such/run", "--no-model"])).toEqual({
    code: 2,
    output: "--run and --no-model do not go together: give one of them.\n",
  });
  expect((await site(["demo", "--nothing"])).code).toBe(2);
});
