import { availableParallelism, cpus } from "node:os";
import { UserError } from "../../../graph-builder/errors.ts";

/** The programs that start ranks. */
export type LauncherName = "Open MPI" | "MPICH" | "Slurm";

/** The place of this process among those that a launcher has started. */
export interface Launched {
  readonly launcher: LauncherName;
  /** Counted from 0. */
  readonly rank: number;
  readonly size: number;
  /** The ranks on this machine, where the launcher says it. */
  readonly localSize?: number | undefined;
}

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The variables in which each launcher says the place of a process. */
const variables: readonly (readonly [LauncherName, rank: string, size: string, localSize?: string])[] = [
  ["Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"],
  // Intel MPI and MVAPICH set them too
  ["MPICH", "PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"],
  ["Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"],
];

/** What torchrun sets, all of it. */
const ofTorchrun = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"] as const;

/**
 * The place of this process by the environment of `mpirun`, `mpiexec` or `srun`; undefined where none of them
 * has started it, or has started one process alone. A batch script of Slurm has SLURM_NTASKS of the job, but
 * is one process: only `srun` sets the number of tasks of a step.
 * Throws UserError for a place that is none, and for processes of torchrun, which cannot start MPI.
 */
export function launchedBy(env: Environment): Launched | undefined {
  for (const [name, rankName, sizeName, localName] of variables) {
    if (env[rankName] === undefined || env[sizeName] === undefined) continue;
    const place = placeOf(env, rankName, sizeName);
    if (place.size === 1) return undefined;
    const launcher = name === "MPICH" && isStep(env, place) ? "Slurm" : name;
    const localSize = Number(localName && env[localName]) || undefined;
    return { launcher, ...place, localSize };
  }
  const workers = Number(env.WORLD_SIZE);
  if (workers > 1 && ofTorchrun.every((name) => env[name] !== undefined)) {
    throw new UserError(
      `RANK is ${env.RANK} and WORLD_SIZE is ${workers}, as torchrun sets them, but torchrun does not start MPI: start the run with mpirun -n ${workers}.`,
      { code: "launcher-unsupported", details: { rank: env.RANK, size: workers } },
    );
  }
  return undefined;
}

/** Whether a place is that of this task in its step of Slurm: srun sets the variables of MPICH as well. */
function isStep(env: Environment, { rank, size }: Pick<Launched, "rank" | "size">): boolean {
  return env.SLURM_PROCID === String(rank) && env.SLURM_STEP_NUM_TASKS === String(size);
}

function placeOf(env: Environment, rankName: string, sizeName: string): { rank: number; size: number } {
  const [rank, size] = [Number(env[rankName]), Number(env[sizeName])];
  if (Number.isInteger(rank) && Number.isInteger(size) && rank >= 0 && rank < size) return { rank, size };
  throw new UserError(
    `${rankName} is ${env[rankName]} and ${sizeName} is ${env[sizeName]}, which is no place of a rank.`,
    { code: "launcher-damaged", details: { rank: env[rankName], size: env[sizeName] } },
  );
}

/**
 * The cores that this process may use: those that the launcher has bound it to; where it is bound to none,
 * its share of the machine's.
 */
export function coresOfRank(env: Environment = process.env): number {
  const localSize = launchedBy(env)?.localSize ?? 1;
  const cores = availableParallelism();
  return cores < cpus().length ? cores : Math.max(1, Math.floor(cores / localSize));
}
