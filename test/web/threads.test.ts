import { expect, test } from "vitest";
import { threadsOn, threadsReasonOn } from "../../web/worker/threads.ts";

test("the page keeps a core for itself, and takes at most four for ONNX Runtime", () => {
  const counts = [1, 2, 3, 4, 5, 16].map((cores) => threadsOn({ cores, isIsolated: true }));
  expect(counts).toEqual([1, 1, 2, 3, 4, 4]);
  expect(threadsOn({ cores: 16, isIsolated: false })).toBe(1);
});

test("one thread has its reason, and more have none", () => {
  const reason = (cores: number, isIsolated: boolean) => threadsReasonOn({ cores, isIsolated });
  expect(reason(1, true)).toBe("this machine has one core");
  expect(reason(2, true)).toBe("the other core is left to the page");
  expect(reason(8, false)).toMatch(/^more threads need the headers Cross-Origin-Opener-Policy/);
  expect(reason(8, true)).toBeUndefined();
});
