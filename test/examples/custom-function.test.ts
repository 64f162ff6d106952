import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("the example runs by plain node: it prints its function, and weights of quarters come out exactly", async () => {
  const script = fileURLToPath(new URL("../../dist/examples/custom-function.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  expect(stdout).toContain("RoundThrough (x) => (y)");
  const losses = [...stdout.matchAll(/^\d+ ([\d.]+)$/gm)].map(([, loss]) => Number(loss));
  expect(losses).toHaveLength(6);
  expect(losses[0]).toBeGreaterThan(0);
  expect(losses.at(-1)).toBe(0);
});
