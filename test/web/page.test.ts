import { afterEach, expect, test, vi } from "vitest";
import { readAddress } from "../../web/page/address.ts";
import { axisOver, axisToMark, tickText } from "../../web/page/chart-axis.ts";
import { confusionCounts } from "../../web/page/confusion-matrix.ts";
import { History } from "../../web/worker/history.ts";
import { l2Norm } from "../../web/worker/norm.ts";
import { animatedWebp } from "../screenshots/animated-webp.ts";

afterEach(() => vi.unstubAllGlobals());

test("a link names the model by its whole address, which may have a question mark", () => {
  vi.stubGlobal("location", { hash: "#classify?model=https://host/m.onnx?download=true" });
  const { tab, settings } = readAddress();
  expect(tab).toBe("classify");
  expect(settings.get("model")).toBe("https://host/m.onnx?download=true");
  vi.stubGlobal("location", { hash: "#train" });
  expect(readAddress()).toEqual({ tab: "train", settings: new URLSearchParams() });
});

test("an axis of steps has whole marks, whatever its length", () => {
  for (const steps of [1, 2, 3, 7, 16, 100, 252, 15_700]) {
    const { ticks, to } = axisOver(0, steps, 6, 1);
    expect(ticks.every(Number.isInteger)).toBe(true);
    expect(ticks[0]).toBe(0);
    expect(ticks.at(-1)).toBeLessThanOrEqual(to);
    expect(ticks.length).toBeGreaterThan(1);
    expect(ticks.length).toBeLessThan(9);
  }
});

test("marks have the decimals that they need to differ", () => {
  const small = axisOver(0, 0.3, 5);
  expect(small.ticks.map((tick) => tickText(tick, small))).toEqual(["0.0", "0.1", "0.2", "0.3"]);
  const large = axisOver(0, 100, 5);
  expect(large.ticks.map((tick) => tickText(tick, large))).toEqual(["0", "20", "40", "60", "80", "100"]);
});

test("an axis that ends at a mark has its last value below it", () => {
  expect(axisToMark(0, 2.43, 5)).toEqual({ from: 0, to: 2.5, ticks: [0, 0.5, 1, 1.5, 2, 2.5] });
  expect(axisToMark(0, 100, 5)).toEqual({ from: 0, to: 100, ticks: [0, 20, 40, 60, 80, 100] });
  for (const most of [1e-3, 0.3, 0.69, 1, 2.31, 7, 1234]) {
    const { to, ticks } = axisToMark(0, most, 5);
    expect(to).toBeGreaterThanOrEqual(most);
    expect(ticks.at(-1)).toBeCloseTo(to, 9);
  }
});

test("an axis without a range has one", () => {
  expect(axisOver(2, 2, 5).to).toBeGreaterThan(2);
});

test("the norm of millions of numbers does not overflow the stack", () => {
  expect(l2Norm(new Float32Array(1_000_000).fill(3))).toBeCloseTo(3000, 3);
});

test("a confusion matrix counts each class by what it was recognised as", () => {
  const counts = confusionCounts(Uint8Array.of(0, 0, 1, 2), Uint8Array.of(0, 2, 1, 2), 3);
  expect(counts).toEqual([
    [1, 0, 1],
    [0, 1, 0],
    [0, 0, 1],
  ]);
});

test("what follows a resume replaces what the cut left behind its checkpoint", () => {
  const point = (step: number, loss: number) => ({ step, steps: 9, loss, accuracy: 0 });
  const history = new History({ points: [point(1, 5), point(2, 4), point(3, 3)] });
  history.addPoint(point(2, 1));
  expect(history.data.points.map(({ step, loss }) => [step, loss])).toEqual([
    [1, 5],
    [2, 1],
  ]);
});

test("an animated WebP has the chunks of its frames, and sizes that fit", () => {
  const name = (text: string) => [...new TextEncoder().encode(text)];
  const still = Uint8Array.from([
    ...name("RIFF"),
    ...[16, 0, 0, 0],
    ...name("WEBPVP8 "),
    ...[3, 0, 0, 0, 7, 8, 9, 0],
  ]);
  const bytes = animatedWebp([{ webp: still, duration: 300 }], 10, 20);
  const text = new TextDecoder("latin1").decode(bytes);
  expect([...text.matchAll(/RIFF|WEBP|VP8X|ANIM|ANMF|VP8 /g)].map(String)).toEqual([
    ...["RIFF", "WEBP", "VP8X", "ANIM", "ANMF", "VP8 "],
  ]);
  expect(new DataView(bytes.buffer).getUint32(4, true)).toBe(bytes.length - 8);
});
