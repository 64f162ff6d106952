import { UserError } from "../../../graph-builder/errors.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import { openRun } from "../../../shakenet/node/run.ts";
import { placeSettings, runConfig, runSchemas } from "../../../shakenet/node/run-config.ts";
import { shakeCommand } from "../../invocation.ts";
import type { TrainGiven } from "./command.ts";
import { type PreparedRun, refuseContradictions } from "./prepared-run.ts";

/**
 * Prepares a run to resume, and locks it. Throws UserError where there is none, where another process trains
 * it, and for settings that differ from its own.
 */
export async function prepareResumedRun(given: TrainGiven): Promise<PreparedRun> {
  const path = given.resume || given.runDir;
  if (!path) {
    throw new UserError(
      `--resume needs the folder of a run: ${shakeCommand("train", "--resume", "runs/NAME")}.`,
      { code: "setting-missing", details: { setting: "resume" } },
    );
  }
  if (given.artifacts !== undefined) {
    throw new UserError("--artifacts does not go with --resume: a run keeps its own.", {
      code: "setting-conflict",
    });
  }
  const saved = await openRun(path);
  await saved.lock();
  const ofRun = partOf(runSchemas, given);
  // `auto` keeps the run's own number of replicas
  const part = ofRun.replicas === "auto" ? { ...ofRun, replicas: saved.config.replicas } : ofRun;
  refuseContradictions(part, saved.config, path, placeSettings);
  const config = runConfig({ ...saved.config, ...part });
  const openDirectory = async () => {
    const directory = saved.withConfig(config);
    await directory.prepareToResume();
    return directory;
  };
  return { config, artifacts: await saved.artifacts(), openDirectory, where: saved.checkpointPath("last") };
}
