import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { cifar10Dir, testWithCifar10 } from "../support/cifar10.ts";

/** Trains with the real command line and returns what `--json` prints. */
function train(...flags: string[]): { readonly test_accuracy: number } {
  const folder = mkdtempSync(join(tmpdir(), "shake-accuracy-"));
  const shake = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  const run = join(folder, "run");
  try {
    const printed = execFileSync(process.execPath, [shake, "train", "--json", "--run-dir", run, ...flags], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    expect(existsSync(join(run, "model.onnx"))).toBe(true);
    expect(existsSync(join(run, "curves.svg"))).toBe(true);
    return JSON.parse(printed);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("shake train without a flag learns shapes above 95 %", () => {
  expect(train().test_accuracy).toBeGreaterThan(95);
});

testWithCifar10("14 2x16d is above 45 % after one epoch of CIFAR-10", () => {
  const flags = [
    "--data",
    "cifar10",
    "--data-dir",
    cifar10Dir,
    "--depth",
    "14",
    "--width",
    "16",
    "--epochs",
    "1",
  ];
  expect(train(...flags).test_accuracy).toBeGreaterThan(45);
});

testWithCifar10("models/cifar10.onnx is right about more than 94 % of the first 2,000 test images", () => {
  const folder = new URL("../../", import.meta.url);
  const flags = ["--data", "cifar10", "--data-dir", cifar10Dir, "--test-limit", "2000", "--json"];
  const shake = fileURLToPath(new URL("dist/cli/main.js", folder));
  const model = fileURLToPath(new URL("models/cifar10.onnx", folder));
  const printed = execFileSync(process.execPath, [shake, "eval", "--model", model, ...flags], {
    encoding: "utf8",
  });
  expect(JSON.parse(printed).accuracy).toBeGreaterThan(94);
});
