import { expect } from "vitest";
import { cifar10Dir, testWithCifar10 } from "../support/cifar10.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();

testWithCifar10("ten minutes of the fast recipe on two cores learn CIFAR-10 above 88 %", async () => {
  const data = ["--data", "cifar10", "--data-dir", cifar10Dir];
  const run = ["--recipe", "fast", "--epochs", "10", "--seed", "1", "--json"];
  const { stdout } = await shake(folder, "train", ...data, ...run);
  expect(JSON.parse(stdout).test_accuracy).toBeGreaterThan(88);
});
