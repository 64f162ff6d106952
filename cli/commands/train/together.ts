import { resolve } from "node:path";
import { deserialize, serialize } from "node:v8";
import { z } from "zod";
import { counted } from "../../../artifacts/counted.ts";
import { type Manifest, parseManifest, type TrainingArtifacts } from "../../../artifacts/index.ts";
import { parseJson } from "../../../artifacts/json.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { type ClassificationRecord, classificationRecordIn } from "../../../runtime/index.ts";
import { datasetDigest, type MpiLink } from "../../../runtime/node/index.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import { fromFirst, gather } from "../../../runtime/replicas/ranks.ts";
import { isShakeNetManifest } from "../../../shakenet/index.ts";
import { runConfigIn } from "../../../shakenet/node/run-config.ts";
import { openData } from "../../data/open-data.ts";
import { isModelConfig, modelConfigIn } from "../../models/settings.ts";
import type { Progress } from "../../progress.ts";
import { programVersions } from "../../versions.ts";
import type { TrainGiven } from "./command.ts";
import { loadSets } from "./data.ts";
import { modelSubject } from "./model-subject.ts";
import type { DataSets, PreparedRun, Subject } from "./prepared-run.ts";
import { shakeNetSubject } from "./shakenet-subject.ts";

/** A run before its first step, with its data and its first checkpoint. */
export interface ReadyRun {
  readonly prepared: PreparedRun;
  readonly sets: DataSets;
  readonly checkpoint: Uint8Array;
}

/** The settings that may be others on each rank. */
const free: readonly string[] = ["dataDir", "threads", "json"];

/** The settings in which a rank keeps its own, where it has them. */
type OwnSettings = Pick<TrainGiven, "dataDir" | "threads">;

/**
 * The settings of a command with the number of its ranks, where there are several. Throws UserError where
 * --ranks expects another number, and where the ranks have other settings or other versions of a package.
 */
export async function givenToRanks(said: TrainGiven, link: MpiLink | undefined): Promise<TrainGiven> {
  const { ranks, ...given } = said;
  const size = link?.size ?? 1;
  if (ranks !== undefined && ranks !== size) {
    const started = link
      ? `${counted(size, "rank")} are started`
      : "nothing has started more than this process";
    throw new UserError(
      `--ranks ${ranks} does not fit: ${started}. Start them with mpirun -n ${ranks}, or with srun -n ${ranks}.`,
      { code: "setting-conflict", details: { setting: "ranks", value: ranks, started: size } },
    );
  }
  if (!link) return given;
  await expectSameVersions(link, await programVersions());
  await expectSameSettings(link, said);
  return { ...given, ranks: size };
}

/** Throws UserError, on all ranks, for a setting that is not the same on all of them. */
async function expectSameSettings(link: MpiLink, given: TrainGiven): Promise<void> {
  const own = Object.entries(given).filter(([name]) => !free.includes(name));
  const all = (await gatherJson(link, Object.fromEntries(own))).map((json) =>
    parseJson(z.record(z.string(), z.unknown()), json, {
      where: "the settings of a rank",
      code: "ranks-differ",
    }),
  );
  const [first = {}] = all;
  for (const [rank, settings] of all.entries()) {
    for (const name of new Set([...Object.keys(first), ...Object.keys(settings)])) {
      const [a, b] = [JSON.stringify(first[name]), JSON.stringify(settings[name])];
      if (a === b) continue;
      throw new UserError(
        `--${kebabCase(name)} is ${a ?? "not given"} on ${link.nameOf(0)} and ${b ?? "not given"} on ${link.nameOf(rank)}: give all ranks the same settings.`,
        { code: "ranks-differ", details: { setting: name, rank, values: [first[name], settings[name]] } },
      );
    }
  }
}

/** Throws UserError, on all ranks, where the programs of the ranks are not of one version. */
async function expectSameVersions(link: MpiLink, versions: Readonly<Record<string, string>>): Promise<void> {
  const all = (await gatherJson(link, versions)).map((json) =>
    parseJson(z.record(z.string(), z.string()), json, {
      where: "the versions of a rank",
      code: "ranks-differ",
    }),
  );
  const [first = {}] = all;
  for (const [rank, others] of all.entries()) {
    const names = [...Object.keys(first), ...Object.keys(others)];
    const name = names.find((each) => others[each] !== first[each]);
    if (name === undefined) continue;
    const [own, other] = [first[name] ?? "none", others[name] ?? "none"];
    throw new UserError(
      `${link.nameOf(0)} has ${name} ${own}, and ${link.nameOf(rank)} has ${name} ${other}: install the same version on all hosts.`,
      { code: "ranks-differ", details: { rank, package: name, versions: [own, other] } },
    );
  }
}

/**
 * Prepares a run on rank 0 alone and sends it to the other ranks, which then load the data themselves, from
 * their own `dataDir` where it is given: one rank of each host first, so that a data set is downloaded once.
 * Throws UserError where a rank's training images are others than those of rank 0.
 */
export async function prepareTogether(
  link: MpiLink,
  prepare: () => Promise<ReadyRun>,
  progress: Progress,
  given: OwnSettings,
): Promise<ReadyRun> {
  const ready = link.rank === 0 ? await prepare() : undefined;
  const sent = await fromFirst(link, ready && encodeRun(ready));
  const { index } = link.place;
  const load = async () => ready ?? (await receiveRun(sent, progress, given));
  let own: ReadyRun | undefined;
  if (index === 0) own = await load();
  await barrier(link);
  const run = own ?? (await load());
  await expectSameData(link, run);
  return run;
}

/** What rank 0 tells the others of the folder of a run. */
export interface SharedFolder {
  readonly path: string;
  readonly records: readonly ClassificationRecord[];
}

/** Sends what rank 0 gives to all ranks. */
export async function shareFolder(link: MpiLink, own?: SharedFolder): Promise<SharedFolder> {
  const lines = own?.records.map((record) => JSON.stringify(record));
  const text = own && JSON.stringify({ path: own.path, lines });
  const json = decode(await fromFirst(link, text === undefined ? undefined : encode(text)));
  const schema = z.object({ path: z.string(), lines: z.array(z.string()) });
  const where = "the message of rank 0";
  const { path, lines: all } = parseJson(schema, json, { where, code: "ranks-differ" });
  return { path, records: all.map((line) => classificationRecordIn(line, where)) };
}

/** Waits until all ranks have come here. */
async function barrier(link: MpiLink): Promise<void> {
  await gather(link, new Uint8Array(0));
}

/** What is sent of a run. */
interface SentRun {
  readonly config: string;
  readonly manifest: string;
  readonly artifacts: Omit<TrainingArtifacts, "manifest">;
}

function encodeRun({ prepared, checkpoint }: ReadyRun): Uint8Array {
  const { manifest, ...artifacts } = prepared.artifacts;
  const run: SentRun = {
    config: JSON.stringify(prepared.config),
    manifest: JSON.stringify(manifest),
    artifacts: { ...artifacts, checkpoint },
  };
  return serialize(run);
}

async function receiveRun(bytes: Uint8Array, progress: Progress, given: OwnSettings): Promise<ReadyRun> {
  const sent: SentRun = deserialize(bytes);
  const subject = subjectOf(sent, given);
  const data = await openData(subject.config, progress);
  const openDirectory = () => Promise.reject(new Error("rank 0 alone writes the folder of a run"));
  const prepared = { ...subject, data, where: "the checkpoint of rank 0", openDirectory };
  return { prepared, sets: await loadSets(prepared), checkpoint: subject.checkpoint };
}

/** The run of rank 0, with the folder of the data and the threads of this rank where it has its own. */
function subjectOf(
  { config: json, manifest: text, artifacts }: SentRun,
  { dataDir, threads }: OwnSettings,
): Subject {
  const where = "the settings of rank 0";
  const all = parseJson(z.record(z.string(), z.unknown()), json, { where, code: "ranks-differ" });
  const config = {
    ...all,
    ...(dataDir === undefined ? {} : { dataDir: resolve(dataDir) }),
    ...(threads === undefined ? {} : { threads }),
  };
  if (isModelConfig(config)) {
    const manifest = parseManifest(text, where, (each): each is Manifest => each.format === 1);
    return modelSubject(modelConfigIn(config, where), { ...artifacts, manifest });
  }
  const manifest = parseManifest(text, where, isShakeNetManifest);
  return shakeNetSubject(runConfigIn(config, where), { ...artifacts, manifest });
}

async function expectSameData(link: MpiLink, { prepared, sets }: ReadyRun): Promise<void> {
  const digests = await gatherJson(link, [sets.trainSet, sets.testSet].map(datasetDigest));
  const rank = digests.findIndex((digest) => digest !== digests[0]);
  if (rank < 0) return;
  throw new UserError(
    `The images of ${prepared.config.data} on ${link.nameOf(rank)} are not those on ${link.nameOf(0)}.`,
    { code: "data-mismatch", details: { data: prepared.config.data, rank } },
  );
}

async function gatherJson(link: MpiLink, value: unknown): Promise<string[]> {
  return (await gather(link, encode(JSON.stringify(value)))).map(decode);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
