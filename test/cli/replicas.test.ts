import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { deviceNames } from "../../runtime/device/names.ts";
import { expectTrainable, replicaCount } from "../../runtime/node/run/engine-settings.ts";
import { shake, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
const flags = ["train", ...tinyRunFlags, "--replicas", "2"];

test.each([
  [["--replicas", "0"], /--replicas must be/],
  [["--replicas", "some"], /--replicas must be auto or a whole number from 1, not some/],
  [["--engine", "ort-training"], /--engine ort-training trains one session/],
  [["--device", "wasm"], /--replicas 2 share the CPU, not wasm/],
  [["--replicas", "20"], /--replicas 20 is too many: a batch has 16 images/],
])("%j is refused in one sentence", async (more, sentence) => {
  const { code, stderr } = await shake(folder, ...flags, ...more, "--run-dir", "refused");
  expect(code).toBe(2);
  expect(stderr).toMatch(sentence);
});

test("left to itself, a batch is shared by the cores in parts of 64 images at least, on the CPU alone", () => {
  const config = { replicas: "auto", engine: "onnxruntime", device: "cpu", threads: undefined } as const;
  const cores = availableParallelism();
  expect(replicaCount({ ...config, batchSize: 127 })).toBe(1);
  expect(replicaCount({ ...config, batchSize: 128 })).toBe(Math.min(2, cores));
  expect(replicaCount({ ...config, batchSize: 64 * 1000 })).toBe(Math.min(1000, cores));
  const large = { ...config, batchSize: 64 * 1000 };
  expect(replicaCount({ ...large, device: "webgpu" })).toBe(1);
  expect(replicaCount({ ...large, engine: "ort-training" })).toBe(1);
  expect(replicaCount({ ...large, threads: 2 })).toBe(1);
  expect(replicaCount({ ...large, stepsPerCall: 1 })).toBe(1);
  expect(replicaCount({ ...large, precision: "mixed" })).toBe(1);
  expect(replicaCount({ ...large, precision: "bfloat16" })).toBe(1);
  expect(replicaCount({ ...large, precision: "float32" })).toBe(Math.min(1000, cores));
  expect(replicaCount({ ...large, replicas: 3 })).toBe(3);
});

test.each([
  [{ replicas: 2 }, "--steps-per-call trains one session: leave --replicas 2 out."],
  [
    { device: "webgpu" },
    "--steps-per-call does not work on webgpu, which has no Scan: give --device cpu, cuda, wasm.",
  ],
  [
    { engine: "ort-training", precision: "mixed" },
    "--precision mixed does not go with --engine ort-training.",
  ],
  [
    { precision: "bfloat16" },
    "--precision bfloat16 does not work on cpu, whose ONNX Runtime has no bfloat16 operators: give --device cuda.",
  ],
  [
    { device: "webgpu", precision: "bfloat16" },
    "--precision bfloat16 does not work on webgpu, whose ONNX Runtime has no bfloat16 operators: give --device cuda.",
  ],
] as const)("several steps a call with %j are refused in one sentence", (more, sentence) => {
  const one = { engine: "onnxruntime", device: "cpu", replicas: 1, batchSize: 16, stepsPerCall: 4 } as const;
  expect(() => expectTrainable(one)).not.toThrow();
  expect(() => expectTrainable({ ...one, ...more })).toThrow(sentence);
});

test("bfloat16 trains on cuda alone", () => {
  const settings = { engine: "onnxruntime", replicas: 1, batchSize: 16, precision: "bfloat16" } as const;
  const devices = deviceNames.filter((device) => {
    try {
      expectTrainable({ ...settings, device });
      return true;
    } catch {
      return false;
    }
  });
  expect(devices).toEqual(["cuda"]);
});
