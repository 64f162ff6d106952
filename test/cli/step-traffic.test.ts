import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { describeCommunication, StepTraffic, withTraffic } from "../../cli/commands/train/step-traffic.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const record = {
  epoch: 1,
  step: 3,
  learning_rate: 0.1,
  seconds: 9,
  train_loss: 1,
  train_accuracy: 50,
  test_loss: 1,
  test_accuracy: 50,
  images_per_second: 10,
};

test("the exchanges of all steps but the first are shares of their time, by what they are for", () => {
  const traffic = { bytesSent: 500, seconds: 9 };
  const measured = new StepTraffic({ traffic, size: 4, place: { hosts: 2, index: 0 } });
  const exchange = (bytes: number, milliseconds: number) => {
    traffic.bytesSent += bytes;
    traffic.seconds += milliseconds / 1000;
    vi.advanceTimersByTime(milliseconds);
  };
  for (const slower of [1000, 0, 0]) {
    measured.start();
    vi.advanceTimersByTime(60 + slower);
    exchange(8, 10);
    measured.count("messages");
    vi.advanceTimersByTime(5);
    exchange(3_000_000, 20);
    measured.count("gradients");
    exchange(2, 5);
    measured.count("messages");
    measured.end();
    // an evaluation between two steps is not counted
    exchange(12_345, 300);
  }
  const { result } = measured;
  expect(result).toMatchObject({ ranks: 4, hosts: 2, steps: 2, bytes_sent_per_step: 3_000_010 });
  expect(result?.seconds_per_step).toBeCloseTo(0.1);
  expect(result?.gradients_share).toBeCloseTo(0.2);
  expect(result?.waiting_share).toBeCloseTo(0.15);
  expect(result && describeCommunication(result)).toBe(
    "4 ranks on 2 hosts: a step of rank 0 took 100 ms, sent 3 MB, exchanged gradients for 20.0 % of its time, and waited for other ranks for 15.0 %",
  );
});

test("the record of an epoch has the exchanges of its own steps, the first step's too", () => {
  const traffic = { bytesSent: 0, seconds: 0 };
  const measured = new StepTraffic({ traffic, size: 2, place: { hosts: 1, index: 0 } });
  const epoch = (steps: number) => {
    for (let step = 0; step < steps; step++) {
      measured.start();
      traffic.bytesSent += 1000;
      traffic.seconds += 0.5;
      measured.count("gradients");
      traffic.bytesSent += 10;
      traffic.seconds += 0.25;
      measured.count("messages");
      measured.end();
    }
    // an evaluation between two epochs is not counted
    traffic.seconds += 8;
    const told = withTraffic({ type: "epoch", record, isBest: false }, measured);
    return told.type === "epoch" ? told.record : undefined;
  };
  expect(epoch(3)).toEqual({ ...record, gradients_seconds: 1.5, waiting_seconds: 0.75, bytes_sent: 3030 });
  expect(epoch(1)).toEqual({ ...record, gradients_seconds: 0.5, waiting_seconds: 0.25, bytes_sent: 1010 });
});

test("events of other kinds, and those of a run without ranks, stay as they are", () => {
  const epoch = { type: "epoch", record, isBest: true } as const;
  const stopped = { type: "interrupted", step: 3 } as const;
  const link = { traffic: { bytesSent: 0, seconds: 0 }, size: 2, place: { hosts: 1, index: 0 } };
  expect(withTraffic(epoch, undefined)).toBe(epoch);
  expect(withTraffic(stopped, new StepTraffic(link))).toBe(stopped);
});

test("a run of one step has nothing to tell", () => {
  const link = { traffic: { bytesSent: 0, seconds: 0 }, size: 2, place: { hosts: 1, index: 0 } };
  const measured = new StepTraffic(link);
  measured.start();
  measured.end();
  expect(measured.result).toBeUndefined();
});
