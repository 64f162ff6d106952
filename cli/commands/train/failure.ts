import { countIn } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { DivergedError } from "../../../runtime/index.ts";
import { RankError, ReplicaError } from "../../../runtime/node/index.ts";
import { launchedBy } from "../../../runtime/node/mpi/launcher.ts";
import { shakeCommand } from "../../invocation.ts";
import type { Subject, TrainRun } from "./prepared-run.ts";

/** The command that goes on with a run, by as many ranks as this one. */
export function resumeCommand({ path }: Pick<TrainRun, "path">, ...flags: readonly string[]): string {
  const command = shakeCommand("train", "--resume", path, ...flags);
  const launched = launchedBy(process.env);
  if (!launched) return command;
  return `${launched.launcher === "Slurm" ? "srun" : "mpirun"} -n ${launched.size} ${command}`;
}

/** An error of training that says which checkpoint is kept, and how to go on. */
export async function explained(error: unknown, directory: TrainRun, subject: Subject): Promise<unknown> {
  if (error instanceof RankError) return error.withAdvice(adviceFor(directory));
  if (error instanceof ReplicaError) {
    const message = `${error.message} ${adviceFor(directory)}`;
    return new ReplicaError(message, { cause: error.cause, details: error.details });
  }
  if (!(error instanceof DivergedError)) return error;
  // the sentence about the divergence is worth more than one about a file
  await directory.markDiverged(error).catch(() => {});
  return divergence(error, directory, subject);
}

/** How to go on with a run whose last checkpoint is sound. */
export function adviceFor(directory: Pick<TrainRun, "path">): string {
  return `The last checkpoint is kept; to go on: ${resumeCommand(directory)}`;
}

/** How far the rate falls in the command that goes on with a run that diverged. */
const LOWER = 0.1;

async function divergence(error: DivergedError, directory: TrainRun, { hint }: Subject): Promise<UserError> {
  const { code, message, step, learningRate, savedStep, reason } = error;
  const path = directory.checkpointPath("last");
  const advice = hint?.({ step, loss: Number.NaN });
  const good = await goodCheckpoint(directory);
  const rate = Number((LOWER * directory.config.learningRate).toPrecision(3));
  const command = resumeCommand({ path: good.path }, "--learning-rate", String(rate));
  const details = { step, learningRate, savedStep, reason, path, command };
  const sentences = [
    message,
    `It is ${path}.`,
    ...(advice === undefined ? [] : [advice]),
    `To go on from ${good.what} at a tenth of the learning rate: ${command}`,
  ];
  return new UserError(sentences.join(" "), { code, details, cause: error });
}

/**
 * The checkpoint to go on from: the best one, because the weights of the last one may be spoilt already;
 * that of the start where no epoch was measured.
 */
async function goodCheckpoint(
  directory: TrainRun,
): Promise<{ readonly path: string; readonly what: string }> {
  const path = directory.checkpointPath("best");
  const best = await directory.checkpoint("best").catch(() => undefined);
  if (best) return { path, what: `the best checkpoint, of step ${countIn(best.properties, "step", path)},` };
  return { path: directory.path, what: "the last checkpoint" };
}
