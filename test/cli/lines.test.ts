import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { fitting, liveLine, openProgress } from "../../cli/progress.ts";
import { epochLine, stepLine } from "../../cli/reporters/terminal.ts";

const longest = {
  type: "step",
  epoch: 1799,
  step: 702_999,
  steps: 703_800,
  metrics: { loss: 12.345, accuracy: 100 },
  batchMetrics: { loss: 12.345, accuracy: 100 },
  learningRate: 0.0000123,
  examplesPerSecond: 123_456,
  secondsLeft: 64_140,
} as const;

const record = {
  epoch: 1799,
  step: 702_999,
  train_loss: 0.12345,
  train_accuracy: 100,
  test_loss: 0.23456,
  test_accuracy: 96.5,
  learning_rate: 0.1,
  images_per_second: 12_345,
  seconds: 5025,
};

describe.each([30, 40, 60, 79, 80, 100, 200])("in %i columns", (columns) => {
  test("the live line fits and says the epoch and the time left", () => {
    const line = liveLine(0.5, stepLine(longest, { epochs: 1800 }), columns);
    expect(line.length).toBeLessThanOrEqual(columns);
    expect(line).toContain("epoch 1799/1800");
    expect(line).toMatch(/17 h 49 min( left| …)$/);
  });

  test("the line of an epoch fits where there is room for its accuracy", () => {
    const line = fitting(epochLine(record, { epochs: 1800, part: "validation" }, true), columns);
    if (columns >= 60) expect(line.length).toBeLessThanOrEqual(columns);
    expect(line).toMatch(/^epoch 1799\/1800 .*validation 96\.50 %.*best$/);
  });
});

test("80 columns show the rate and the loss of a usual run, and a bar", () => {
  const event = {
    ...longest,
    epoch: 3,
    step: 1200,
    steps: 23_400,
    examplesPerSecond: 1234,
    secondsLeft: 754,
  };
  const line = liveLine(0.05, stepLine({ ...event, learningRate: 0.1 }, { epochs: 30 }), 79);
  expect(line).toBe("━╌╌╌╌╌╌╌╌╌╌╌╌ epoch 3/30  loss 12.345  100.0 %  1234 images/s  12 min 34 s left");
  const usual = { ...record, epoch: 3, seconds: 93 };
  expect(fitting(epochLine(usual, { epochs: 30, part: "test" }, false), 80)).toBe(
    "epoch 3/30  train 100.00 % (loss 0.123)  test 96.50 % (loss 0.235)  1 min 33 s",
  );
});

test("the bar goes with what is done, never beyond its ends", () => {
  expect(liveLine(0, "a", 22)).toBe(`${"╌".repeat(20)} a`);
  expect(liveLine(1.5, "a", 22)).toBe(`${"━".repeat(20)} a`);
  expect(liveLine(0.5, "abc", 8)).toBe("abc");
  expect(liveLine(0.5, "abcdef", 4)).toBe("abc…");
});

test("a live line is drawn once, also after another one has ended, and whatever ends it leaves the terminal as it was", () => {
  let drawn = "";
  const write: Writable["_write"] = (chunk, _encoding, done) => {
    drawn += String(chunk);
    done();
  };
  const terminal = Object.assign(new Writable({ write }), { isTTY: true, columns: 40 });
  const progress = openProgress(terminal);
  for (const name of ["first", "second", "third"]) {
    drawn = "";
    progress.update(1, 10, name);
    // a signal may end the process now: the cursor is shown, and long lines are broken
    expect(drawn.match(/\[\?(25|7)[hl]/g)?.at(-1)).toBe("[?7h");
    expect(drawn).not.toContain("[?25l");
    progress.log(`a line of more columns than this terminal has, behind the ${name}`);
    progress.stop();
    expect(drawn.split(` ${name}\u001b`)).toHaveLength(2);
    expect(drawn).toContain(`a line of more columns than this terminal has, behind the ${name}\n`);
  }
  drawn = "";
  progress.log("alone");
  expect(drawn).toBe("alone\n");
});
