import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { cifar10Dir, testWithCifar10 } from "../support/cifar10.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const data = ["--data", "cifar10", "--data-dir", cifar10Dir];
const json = async (...args: string[]) => JSON.parse((await shake(folder, ...args, "--json")).stdout);

test("shake train without a flag learns shapes above 95 %", async () => {
  expect((await json("train")).test_accuracy).toBeGreaterThan(95);
});

testWithCifar10("two epochs of the fast recipe on 20,000 images of CIFAR-10 are above 60 %", async () => {
  const short = ["--recipe", "fast", "--epochs", "2", "--train-limit", "20000"];
  expect((await json("train", ...data, ...short)).test_accuracy).toBeGreaterThan(60);
});

testWithCifar10("models/cifar10.onnx is right about more than 94 % of the test images", async () => {
  const model = fileURLToPath(new URL("../../models/cifar10.onnx", import.meta.url));
  expect((await json("eval", "--model", model, ...data)).accuracy).toBeGreaterThan(94);
});
