import { TrainingSession } from "../../runtime/index.ts";
import {
  ModelCache,
  openDevice,
  ReplicatedSession,
  readTrainingArtifacts,
} from "../../runtime/node/index.ts";
import { trainingSources } from "../../runtime/node/run/engine.ts";

/**
 * Opens one session of the artifacts in a folder, and prints the seconds since the process began and those of
 * its cores as JSON. Its arguments are the folder, the number of replicas, and the folder of the cache.
 */
const [folder = "", replicas = "1", cacheFolder] = process.argv.slice(2);
const cache = cacheFolder === undefined ? undefined : new ModelCache(cacheFolder);
const sources = trainingSources(await readTrainingArtifacts(folder));
const session =
  replicas === "1"
    ? await TrainingSession.create(sources, await openDevice("cpu", { threads: 1 }), { cache })
    : await ReplicatedSession.create(sources, { replicas: Number(replicas), cache });
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ wall: performance.now() / 1e3, cores: (user + system) / 1e6 }));
await session.release();
