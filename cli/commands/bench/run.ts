import { UserError } from "../../../graph-builder/index.ts";
import type { Device } from "../../../runtime/index.ts";
import { measurePeak } from "../../../runtime/measure/peak.ts";
import { Profiler } from "../../../runtime/node/profile.ts";
import { expectTrainable, replicaCount } from "../../../runtime/node/run/engine-settings.ts";
import { complete } from "../../settings.ts";
import { print } from "../../terminal.ts";
import { type BenchGiven, type BenchSettings, benchCommand } from "./command.ts";
import { measureSteps, openBenchDevice } from "./measure.ts";
import { describe, summarize } from "./report.ts";

const engine = "onnxruntime";

export async function run(given: BenchGiven): Promise<number> {
  const config = settingsOf(given);
  const device = await openBenchDevice(config);
  const profiler = config.profile ? await openProfiler(device, config) : undefined;
  try {
    const measured = await measureSteps(config, profiler?.device ?? device, profiler);
    const result = summarize(config, measured, await measurePeak(device));
    print(config.json ? JSON.stringify(result) : describe(result));
  } finally {
    await profiler?.close();
  }
  return 0;
}

/** Completes the settings of a benchmark. Throws UserError where the steps cannot be shared. */
function settingsOf(given: BenchGiven): BenchSettings {
  const settings = complete(benchCommand.settings, given);
  if (settings.hosts && settings.device !== "cpu") {
    throw new UserError(
      `--hosts is about ranks, which train on the CPU: leave --device ${settings.device} out.`,
      {
        code: "setting-conflict",
        details: { setting: "hosts", device: settings.device },
      },
    );
  }
  // a profile and a lowering apply to one session
  const isAlone = settings.replicas === "auto" && (settings.profile || settings.lowering !== undefined);
  const replicas = isAlone ? 1 : replicaCount({ ...settings, engine });
  expectTrainable({ ...settings, engine, replicas });
  return { ...settings, replicas };
}

async function openProfiler(device: Device, { replicas }: BenchSettings): Promise<Profiler> {
  if (replicas > 1)
    throw new UserError("--profile measures one session: leave --replicas out.", {
      code: "setting-conflict",
    });
  if (device.name === "wasm") {
    throw new UserError("--profile does not go with --device wasm, whose profile cannot be read.", {
      code: "setting-conflict",
    });
  }
  return Profiler.open(device);
}
