import { beforeAll, expect } from "vitest";
import { cifar10Dir, testWithCifar10 } from "../support/cifar10.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const data = ["--data", "cifar10", "--data-dir", cifar10Dir];
const whole = [...data, "--test-limit", "10000"];
const json = async (...args: string[]) => JSON.parse((await shake(folder, ...args, "--json")).stdout);

interface Row {
  readonly device: string;
  readonly largest_error: number;
  readonly same_class: number;
}

// a few steps, so that no running statistic is what it was
beforeAll(async () => {
  const limits = ["--train-limit", "3000", "--test-limit", "100", "--epochs", "1"];
  await shake(folder, "train", ...data, "--depth", "14", ...limits, "--run-dir", "run");
}, 600_000);

testWithCifar10(
  "the frozen model has the trained one's logits to 1e-5 and its class for all 10,000 test images",
  async () => {
    const { devices } = await json("verify", "run/model.onnx", ...whole);
    const rows = (devices as Row[]).filter(({ device }) => device === "cpu" || device === "wasm");
    expect(rows).toHaveLength(2);
    for (const { largest_error, same_class } of rows) {
      expect(largest_error).toBeLessThan(1e-5);
      expect(same_class).toBe(10_000);
    }
  },
);

testWithCifar10("8 bits lose less than half a point on the 10,000 test images", async () => {
  const made = await json("export", "run", "--out", "int8.onnx", "--precision", "int8", ...whole);
  expect(made.test_images).toBe(10_000);
  expect(made.float32_accuracy).toBeGreaterThan(15);
  expect(made.float32_accuracy - made.int8_accuracy).toBeLessThan(0.5);
});
