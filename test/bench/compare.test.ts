import { Tensor } from "onnxruntime-common";
import { describe, expect, test } from "vitest";
import type { Row } from "../../bench/compare/comparison.ts";
import { reasonIn } from "../../bench/compare/installs.ts";
import { modelNames, models } from "../../bench/compare/models.ts";
import { readOptions } from "../../bench/compare/options.ts";
import { readWorkload } from "../../bench/compare/peers/protocol.ts";
import { batchFeeds } from "../../bench/compare/peers/steps.ts";
import { peers, peersOf } from "../../bench/compare/peers.ts";
import { writeModelBatch } from "../../bench/compare/prepare-model.ts";
import { describe as describeReport, summarize } from "../../bench/compare/report.ts";
import {
  affordableTurns,
  fastestOf,
  largestDeviation,
  pairedRatio,
  spreadOf,
} from "../../bench/compare/statistics.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const tiny = { depth: 8, width: 2, batchSize: 4, threads: 2, rounds: 2, steps: 1, patience: 3 };

describe("statistics", () => {
  test("a spread is the median, the minimum and the maximum, and an empty list has none", () => {
    expect(spreadOf([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
    expect(spreadOf([4, 1, 2, 10])).toEqual({ median: 3, min: 1, max: 10 });
    expect(() => spreadOf([])).toThrow(RangeError);
  });

  test("a ratio compares a rate with the faster of both peers in the same round", () => {
    const fastest = fastestOf([
      [10, 40, 20],
      [20, 10],
    ]);
    expect(fastest).toEqual([20, 40, 20]);
    expect(pairedRatio([30, 20, 10], fastest)).toEqual({ median: 0.5, min: 0.5, max: 1.5 });
    expect(pairedRatio([30], fastest)).toEqual({ median: 1.5, min: 1.5, max: 1.5 });
    expect(pairedRatio([30], fastestOf([]))).toBeUndefined();
  });

  test("the deviation is the largest of all steps, and infinite for a missing loss and for NaN", () => {
    expect(largestDeviation([2, 1.5, 1], [2, 1, 1])).toBe(0.5);
    expect(largestDeviation([2, 1], [2, 1, 1])).toBe(Number.POSITIVE_INFINITY);
    expect(largestDeviation([2, Number.NaN, 1], [2, 1, 1])).toBe(Number.POSITIVE_INFINITY);
  });

  test.each([
    { stepSeconds: 3, turns: { rounds: 5, steps: 2 } },
    { stepSeconds: 20, turns: { rounds: 5, steps: 1 } },
    { stepSeconds: 50, turns: { rounds: 2, steps: 1 } },
    { stepSeconds: 500, turns: { rounds: 1, steps: 1 } },
  ])("in 120 s, 5 rounds of 2 steps of $stepSeconds s become $turns", ({ stepSeconds, turns }) => {
    expect(affordableTurns({ rounds: 5, steps: 2 }, stepSeconds, 120)).toEqual(turns);
  });
});

describe("the table", () => {
  const measured = {
    version: "1.2",
    batchSize: 4,
    deviation: 1e-7,
    steps: 3,
    peakRssMb: 99.6,
    foreignLoad: 0,
  };
  const rows: Row[] = [
    { ...measured, name: "shakenet", label: "ShakeNet", rates: [100, 220, 330] },
    { ...measured, name: "torch", label: "NCHW", rates: [100, 110, 100] },
    { ...measured, name: "torch-channels-last", label: "channels_last", rates: [50, 200, 110] },
    { name: "jax", label: "JAX", deviation: 0.25, reason: "it computes something else" },
    { ...measured, name: "tfjs", label: "tfjs", rates: [2], steps: 1, batchSize: 1, peakRssMb: undefined },
  ];
  const report = summarize({ ...tiny, rounds: 3 }, rows);

  test("has the ratios to the faster eager PyTorch and to tfjs, and the reason why a peer is missing", () => {
    const lines = describeReport(report).split("\n");
    expect(lines[0]).toMatch(/^8 2x2d, batch 4, 2 threads, 3 rounds of 1 steps; .*, Node v\d+/);
    expect(lines.slice(2).join("\n")).toMatchInlineSnapshot(`
      "               images/s  min-max  of PyTorch eager  min-max    times tfjs  n  loss off by  MB   version
      ShakeNet       220       100-330  1.10              1.00-3.00  50          3  1e-7         100  1.2
      NCHW           100       100-110  0.91              0.55-1.00  50          3  1e-7         100  1.2
      channels_last  110       50-200   1.00              0.50-1.00  25          3  1e-7         100  1.2
      JAX            -                  -                            -           0  0.3               it computes something else
      tfjs           2.0       2.0-2.0  0.02              0.02-0.02  1.00        1  1e-7         -    1.2; batch 1"
    `);
  });

  test("names a foreign model and its unit, and has the ratios to onnxruntime-training", () => {
    const others: Row[] = [
      { ...measured, name: "shakenet", label: "ShakeNet", rates: [20, 22, 24] },
      { ...measured, name: "torch", label: "PyTorch eager", rates: [10, 11, 48] },
      { ...measured, name: "onnxruntime-training", label: "onnxruntime-training", rates: [5, 5, 8] },
    ];
    const lines = describeReport(summarize({ ...tiny, rounds: 3, model: "lstm" }, others)).split("\n");
    expect(lines[0]).toMatch(/^lstm, batch 4, 2 threads, 3 rounds of 1 steps; /);
    expect(lines.slice(2).join("\n")).toMatchInlineSnapshot(`
      "                      sequences/s  min-max  of PyTorch eager  min-max    times onnxruntime-training  n  loss off by  MB   version
      ShakeNet              22           20-24    2.00              0.50-2.00  4.00                        3  1e-7         100  1.2
      PyTorch eager         11           10-48    1.00              1.00-1.00  2.20                        3  1e-7         100  1.2
      onnxruntime-training  5.0          5.0-8.0  0.45              0.17-0.50  1.00                        3  1e-7         100  1.2"
    `);
  });

  test("says when the machine was not quiet", () => {
    const disturbed = rows.map((row) => (row.name === "torch" ? { ...row, foreignLoad: 0.42 } : row));
    expect(describeReport(report)).not.toContain("quiet");
    expect(describeReport(summarize(tiny, disturbed))).toMatch(
      /\n\nBefore a turn .* up to 42 % of this machine/,
    );
  });

  test("has the same numbers as JSON", () => {
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({
      network: "8 2x2d",
      peers: [
        {
          name: "shakenet",
          per_second: { median: 220, min: 100, max: 330 },
          of_pytorch_eager: { median: 1.1, min: 1, max: 3 },
          of_tfjs: { median: 50 },
          n: 3,
        },
        { name: "torch" },
        { name: "torch-channels-last", of_pytorch_eager: { median: 1, min: 0.5, max: 1 } },
        { name: "jax", reason: "it computes something else", loss_deviation: 0.25 },
        { name: "tfjs", batch_size: 1, n: 1 },
      ],
    });
  });
});

test.each([
  [
    "ERROR: Could not find a version\nERROR: No matching distribution found for x\n\n",
    "ERROR: No matching distribution found for x",
  ],
  [
    "Traceback:\n  File x\ntorch._inductor.exc.InductorError: no compiler\nSet VERBOSE=1 for more",
    "torch._inductor.exc.InductorError: no compiler",
  ],
  [
    "/a/b.js:3\nTypeError: it is no function\n    at main (b.js:3)\n\nNode.js v20.20.2",
    "TypeError: it is no function",
  ],
  ["Killed\n", "Killed"],
  ["", ""],
])("in the output %j of a program the reason is found", (output, reason) => {
  expect(reasonIn(output)).toBe(reason);
});

test.each([
  [["--rounds", "0"], /^--rounds must be a whole number from 1, not 0\.$/],
  [["--threads", "two"], /^--threads must be a whole number from 1, not two\.$/],
  [["--peers", "torch,jaxx"], /^There is no peer jaxx\. Did you mean jax\?$/],
  [["--widht", "3"], /^Unknown option '--widht'.* See --help\.$/],
  [
    ["--model", "resnet81"],
    /^There is no model resnet81: give resnet18, mobilenet_v2, encoder, lstm\. Did you mean resnet18\?$/,
  ],
  [
    ["--model", "lstm", "--width", "64"],
    /^--width is for this project's own network, not for --model lstm\.$/,
  ],
  [["--model", "lstm", "--peers", "torch-channels-last"], /^There is no peer torch-channels-last for lstm\./],
  [["--evaluate", "--peers", "jax"], /^There is no peer jax for --evaluate\./],
  [
    ["--evaluate", "--model", "lstm"],
    /^--evaluate is for this project's own network, not for --model lstm\.$/,
  ],
])("%s is refused in one sentence", (args, sentence) => {
  expect(() => readOptions(args)).toThrow(sentence);
});

test("peers run in the order of the table, and all of them run unless some are named", () => {
  expect(readOptions(["--peers", "jax,torch", "--json"])).toMatchObject({
    peers: ["torch", "jax"],
    json: true,
  });
  expect(readOptions([])).toMatchObject({ depth: 26, width: 32, batchSize: 128, peers: Object.keys(peers) });
  expect(readOptions(["--help"])).toBeUndefined();
});

test("an evaluation has the peers that can classify, which are told so", () => {
  const options = readOptions(["--evaluate"]);
  expect(options?.peers).toEqual(["shakenet", "torch", "torch-channels-last", "torch-compiled"]);
  for (const peer of Object.values(peersOf({ evaluates: true }))) expect(peer.args(2)).toContain("evaluate");
});

test("a foreign model has its own batch and the peers that train it", () => {
  const shared = ["shakenet", "torch", "onnxruntime-training"];
  expect(readOptions(["--model", "lstm"])).toMatchObject({ model: "lstm", batchSize: 32, peers: shared });
  expect(readOptions(["--model", "resnet18", "--batch-size", "2"])).toMatchObject({
    batchSize: 2,
    peers: ["shakenet", "torch", "torch-channels-last", "onnxruntime-training"],
  });
});

test.each(modelNames)(
  "the batch of %s is read from its files as it was drawn, in the types of the model",
  async (model) => {
    await writeModelBatch(folder, { model, batchSize: 3, threads: 2 });
    const { threads, learningRate, arrays } = readWorkload(folder);
    expect({ threads, learningRate }).toEqual({ threads: 2, learningRate: models[model].learningRate });
    const { input, labels, ...others } = batchFeeds(arrays, { Tensor });
    expect(others).toEqual({});
    expect(input).toMatchObject({ type: "float32", dims: [3, ...models[model].example] });
    expect(labels).toMatchObject({ type: "int64", dims: [3] });
    const values = Array.from(input?.data ?? [], Number);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(mean).toBeCloseTo(0, 1);
    expect(variance).toBeCloseTo(1, 1);
    expect(Array.from(labels?.data ?? [], Number).every((label) => label >= 0 && label < 10)).toBe(true);
  },
);
