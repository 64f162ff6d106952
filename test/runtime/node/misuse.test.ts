import { expect, test } from "vitest";
import {
  loadDataset,
  openDevice,
  readModelFile,
  readTrainingArtifacts,
} from "../../../runtime/node/index.ts";

// as a program in JavaScript calls them, without the help of types
const load = loadDataset as (...args: readonly unknown[]) => Promise<unknown>;
const open = openDevice as (...args: readonly unknown[]) => Promise<unknown>;
const read = readTrainingArtifacts as (...args: readonly unknown[]) => Promise<unknown>;
const readModel = readModelFile as (...args: readonly unknown[]) => Promise<unknown>;

test.each([
  [
    () => load("pictures", { split: "train" }),
    /^pictures is not the name of a data set: it is one of cifar10, /,
  ],
  [() => load("constructor", { split: "train" }), /^constructor is not the name of a data set/],
  [() => load("shapes"), /^The split of a data set must be train or test, not undefined\.$/],
  [() => load("shapes", { split: "validation" }), /not validation\.$/],
  [
    () => open("cpu", { threads: -1 }),
    /^The number of threads must be a whole number from 1 to 1024, not -1\.$/,
  ],
  [() => open("cpu", { threads: 1e9 }), /not 1000000000\.$/],
  [() => open("cpu", { threads: "2" }), /not "2"\.$/],
  [() => read(), /^A path must be a text, not undefined\.$/],
  [() => readModel(new Uint8Array(8)), /^A path must be a text, not an object\.$/],
])("a call that no type has checked is refused in one sentence: %s", async (call, message) => {
  const error = await call().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "UserError", message: expect.stringMatching(message) });
});
