import { stat } from "node:fs/promises";
import { decodeCheckpoint, readFileBytes, writeFileAtomic } from "../../artifacts/index.ts";
import { UserError } from "../../graph-builder/index.ts";
import type { Command } from "../flags.ts";
import { frozenModel } from "../frozen-model.ts";
import { RunDirectory } from "../run-directory.ts";
import { formatLarge } from "../tables.ts";

const settings = ["source", "out", "checkpoint", "config", "json"] as const;

/** `shake export`: a run or a checkpoint as one plain .onnx. */
export const exportCommand: Command<(typeof settings)[number]> = {
  settings,
  positional: "source",
  async run({ source = "", out, checkpoint = "last", json }) {
    if (out === undefined) throw new UserError("shake export needs --out FILE.");
    const bytes = await freeze(source, checkpoint);
    await writeFileAtomic(out, bytes);
    if (json) process.stdout.write(`${JSON.stringify({ model: out, bytes: bytes.length })}\n`);
    else process.stdout.write(`${out}  ${formatLarge(bytes.length)}B\n\nNext:\n  npx shake inspect ${out}\n`);
    return 0;
  },
};

async function freeze(source: string, kind: "last" | "best"): Promise<Uint8Array> {
  const isFolder = await stat(source).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return frozenModel(decodeCheckpoint(await readFileBytes(source), source), source);
  const directory = await RunDirectory.open(source);
  const checkpoint = await directory.checkpoint(kind);
  const step = Number(checkpoint.properties.get("step"));
  const record = (await directory.records()).find((line) => line.step === step);
  return frozenModel(checkpoint, directory.checkpointPath(kind), {
    config: directory.config,
    testAccuracy: record?.test_accuracy,
  });
}
