import { join } from "node:path";
import { adaptersOf, artifactFiles, encodeCheckpoint, restoreModel } from "../../../artifacts/index.ts";
import { decodeModel, UserError } from "../../../graph-builder/index.ts";
import { freezeModel } from "../../../runtime/index.ts";
import { readTrainingModels } from "../../../runtime/node/index.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import { exportedRun, findModelRun } from "../../models/model-run.ts";
import type { TrainedModel } from "../../models/trained-model.ts";
import { settingGroups } from "../../settings.ts";
import type { ExportGiven } from "./command.ts";

/**
 * The file that a model came from, with the weights of its checkpoint; where values to end at are given, the
 * evaluation model cut to them; where adapters are asked for, a checkpoint of them alone. Throws UserError
 * for settings of the other kind of export, and for a value that is not there.
 */
export async function restoredModel(
  { checkpoint, graph, run }: TrainedModel,
  given: ExportGiven,
): Promise<Uint8Array> {
  refuseForms(given);
  if (given.adapters) return encodeCheckpoint(adaptersOf(checkpoint));
  const ofRun = run === undefined || given.endAt !== undefined ? undefined : await findModelRun(run);
  if (ofRun) return exportedRun(ofRun, checkpoint);
  const { sourceModel, evalModel } = await readTrainingModels(graph);
  if (given.endAt === undefined && sourceModel) return restoreModel(sourceModel, checkpoint);
  const names = (given.endAt ?? "").split(",").map((name) => name.trim());
  return freezeModel(decodeModel(evalModel, join(graph, artifactFiles.evalModel)), checkpoint, names);
}

/** Throws UserError where a setting asks for another form than the file's own. */
function refuseForms(given: ExportGiven): void {
  const [setting] = Object.keys(given).filter((name) => Object.hasOwn(settingGroups.Model, name));
  if (setting === undefined) return;
  throw new UserError(
    `--${kebabCase(setting)} is for networks of shake: a model that came from a file keeps the file's form.`,
    { code: "setting-conflict", details: { setting } },
  );
}
