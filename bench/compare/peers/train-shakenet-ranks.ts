// trains with this project as a rank of MPI, one thread each:
// mpirun -n RANKS node train-shakenet-ranks.js FOLDER

import { join } from "node:path";
import {
  launchedBy,
  MpiLink,
  openDevice,
  ReplicatedSession,
  readTrainingArtifacts,
} from "../../../runtime/node/index.ts";
import { bytesOf, fromFirst, gather } from "../../../runtime/replicas/ranks.ts";
import { ownPeak, readWorkload, serve } from "./protocol.ts";
import { batchFeeds, type Turn, timeSteps, trainStep } from "./steps.ts";

const [folder = ""] = process.argv.slice(2);
const launched = launchedBy(process.env);
if (!launched) throw new Error("mpirun has started no ranks");
const link = await MpiLink.join(launched);
const { learningRate, arrays } = readWorkload(folder);
const { checkpoint, trainingModel, optimizerModel } = await readTrainingArtifacts(join(folder, "session"));
const device = await openDevice("cpu", { threads: 1 });
const session = await ReplicatedSession.create(
  { checkpoint, trainingModel, optimizerModel },
  { replicas: 1, threads: 1, link },
);
const step = trainStep(session, batchFeeds(arrays, device.ort), learningRate);

/** Takes as many steps as rank 0 wants, on all ranks; undefined where it wants no more. */
async function turn(wanted = 0): Promise<Turn | undefined> {
  const [steps = 0] = await numbers(await fromFirst(link, bytesOf(Float64Array.of(wanted))));
  if (steps === 0) return undefined;
  const taken = await timeSteps(steps, step);
  const peaks = await gather(link, bytesOf(Float64Array.of(ownPeak())));
  return { ...taken, peak_rss_mb: peaks.flatMap(numbers).reduce((sum, peak) => sum + peak) };
}

function numbers(bytes: Uint8Array): number[] {
  return [...new Float64Array(bytes.slice().buffer)];
}

/** Says goodbye to the other ranks and ends MPI. */
async function leave(): Promise<void> {
  const done = { code: 0, reason: "" };
  await session.release();
  link.announce(done);
  await link.farewells(done, 0);
  await link.end(0);
}

if (link.rank > 0) {
  while (await turn());
  await leave();
} else {
  const taken = async (steps: number): Promise<Turn> => {
    const result = await turn(steps);
    if (result) return result;
    throw new RangeError("a turn has one step at least");
  };
  await serve(`onnxruntime-node ${device.ort.env.versions.node}`, taken, async () => {
    await turn(0);
    await leave();
  });
}
