import { access, statfs } from "node:fs/promises";
import { cpus, freemem, totalmem } from "node:os";
import { join } from "node:path";
import { env } from "onnxruntime-common";
import { UserError } from "../../../graph-builder/index.ts";
import { trainBatch } from "../../../runtime/data/batches.ts";
import { type DeviceName, deviceNames, TrainingSession } from "../../../runtime/index.ts";
import { cacheFolder } from "../../../runtime/node/cache-folder.ts";
import { cudaNeeds } from "../../../runtime/node/cuda/next-step.ts";
import { cudaState, installedRuntime } from "../../../runtime/node/cuda/provider.ts";
import { downloadedFolders, loadDataset, ModelCache, openDevice } from "../../../runtime/node/index.ts";
import { mpiNeeds } from "../../../runtime/node/mpi/needs.ts";
import { mpiState } from "../../../runtime/node/mpi/state.ts";
import type { Need } from "../../../runtime/node/need.ts";
import { trainingSources } from "../../../runtime/node/run/engine.ts";
import { buildTrainingArtifacts } from "../../../shakenet/index.ts";
import { artifactSettings, runConfig } from "../../../shakenet/node/run-config.ts";
import { formatFields, formatLarge, formatTable } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { print } from "../../terminal.ts";
import type { DoctorGiven } from "./command.ts";

export async function run({ json }: DoctorGiven): Promise<number> {
  const [processor] = cpus();
  const disk = await statfs(process.cwd()).catch(() => undefined);
  const machine = {
    node: process.versions.node,
    onnxruntime: env.versions.common,
    processor: `${processor?.model.trim() ?? "unknown"}, ${cpus().length} cores`,
    memory: `${formatLarge(freemem())}B free of ${formatLarge(totalmem())}B`,
    disk: disk ? `${formatLarge(disk.bavail * disk.bsize)}B free here` : "unknown",
    "data cache": `${cacheFolder()} (${(await cached()).join(", ") || "empty"})`,
  };
  const cuda = await cudaReport();
  const devices: { device: DeviceName; works: boolean; says: string }[] = [];
  for (const name of deviceNames) devices.push({ device: name, ...(await tryDevice(name)) });
  const mpi = mpiNeeds(await mpiState(), shakeCommand());
  if (json) print(JSON.stringify({ ...machine, cuda, mpi, devices }));
  else {
    const rows = devices.map(({ device, works, says }) => [device, works ? "yes" : "no", says]);
    print(`${formatFields(machine)}\n\n${formatTable(["device", "works", ""], rows)}`);
    for (const [purpose, needs] of Object.entries({ "for CUDA": cuda, "for MPI": mpi })) {
      const rows = needs.map(({ what, found, next }) => [what, found ?? "missing", found ? "" : next]);
      if (rows.length > 0) print(`\n${formatTable([purpose, "found", "next"], rows)}`);
    }
  }
  return devices.some(({ works }) => works) ? 0 : 1;
}

/** What CUDA needs here; nothing where ONNX Runtime has no CUDA provider for the system. */
async function cudaReport(): Promise<Need[]> {
  try {
    return cudaNeeds(await cudaState(installedRuntime()), shakeCommand());
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

/** Takes two training steps of a small network on a device and times the second. */
async function tryDevice(name: DeviceName): Promise<{ works: boolean; says: string }> {
  try {
    const batchSize = 32;
    const config = runConfig({ depth: 8, width: 8, device: name });
    const artifacts = buildTrainingArtifacts(artifactSettings(config, "ort-training"));
    const device = await openDevice(name);
    const session = await TrainingSession.create(trainingSources(artifacts), device);
    const dataset = await loadDataset("shapes", { split: "train", limit: batchSize });
    const { images, labels } = trainBatch(dataset, { seed: 0, batchSize }, 0);
    const { Tensor } = device.ort;
    const { blocks } = artifacts.manifest;
    const even = () =>
      new Tensor("float32", new Float32Array(blocks * batchSize).fill(0.5), [blocks, batchSize]);
    let milliseconds = 0;
    for (let step = 0; step < 2; step++) {
      const start = performance.now();
      await session.runTrainStep({
        images: new Tensor("uint8", images, [batchSize, 3, 32, 32]),
        labels: new Tensor("int64", labels as BigInt64Array<ArrayBuffer>, [batchSize]),
        alpha: even(),
        beta: even(),
      });
      await session.runOptimizerStep();
      milliseconds = performance.now() - start;
    }
    await session.release();
    const rate = (1000 * batchSize) / milliseconds;
    return { works: true, says: `trains 8 2x8d at ${rate.toFixed(0)} images/s` };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { works: false, says: error.message };
  }
}

/** The data sets in the cache, and whether it has compiled models. */
async function cached(): Promise<string[]> {
  const folders = [...downloadedFolders()].map(
    ([name, folder]) => [name, join(cacheFolder(), folder)] as const,
  );
  const found = await Promise.all(
    [...folders, ["compiled models", new ModelCache().folder] as const].map(([name, folder]) =>
      access(folder).then(
        () => [name],
        () => [],
      ),
    ),
  );
  return found.flat();
}
