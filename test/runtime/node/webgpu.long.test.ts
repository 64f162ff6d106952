import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("../../support/webgpu-steps.mjs", import.meta.url));
/** The Vulkan driver in software that comes with Chromium, where no other one is chosen. */
const software = "/usr/lib/chromium/vk_swiftshader_icd.json";
const drivers = process.env["VK_ICD_FILENAMES"] ?? (existsSync(software) ? software : "");

interface Steps {
  readonly losses: readonly number[];
  readonly parameters: readonly number[];
  readonly location?: string;
}

/** Trains three steps in a process of its own. Returns what it says where the device cannot be opened. */
function train(device: "cpu" | "webgpu"): Steps | string {
  const env = { ...process.env, ...(drivers ? { VK_ICD_FILENAMES: drivers } : {}) };
  const { status, stdout, stderr } = spawnSync("node", [program, device], {
    env,
    encoding: "utf8",
    maxBuffer: 1e8,
  });
  if (status !== 0 && stderr.includes("device-refused")) return stderr;
  expect(status, stderr).toBe(0);
  const steps: Steps = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  return steps;
}

const onWebGpu = train("webgpu");

test.skipIf(typeof onWebGpu === "string")(
  "in Node, on WebGPU with any Vulkan driver, ShakeNet learns what it learns on the CPU, its state in the GPU's memory",
  () => {
    const onCpu = train("cpu");
    if (typeof onCpu === "string" || typeof onWebGpu === "string") throw new Error("a device is missing");
    expect(onWebGpu.location).toBe("gpu-buffer");
    for (const [i, loss] of onCpu.losses.entries()) expect(onWebGpu.losses[i]).toBeCloseTo(loss, 4);
    const apart = onCpu.parameters.map((value, i) =>
      Math.abs(value - (onWebGpu.parameters[i] ?? Number.NaN)),
    );
    expect(Math.max(...apart)).toBeLessThan(1e-4);
  },
);
