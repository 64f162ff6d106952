import { availableParallelism, cpus } from "node:os";
import { expect, test } from "vitest";
import { isStartedBy } from "../../../../runtime/node/mpi/abi.ts";
import { coresOfRank, launchedBy } from "../../../../runtime/node/mpi/launcher.ts";
import { loadMpi } from "../../../../runtime/node/mpi/library.ts";

const openMpi = { OMPI_COMM_WORLD_RANK: "3", OMPI_COMM_WORLD_SIZE: "8", OMPI_COMM_WORLD_LOCAL_SIZE: "4" };
const step = { SLURM_PROCID: "1", SLURM_STEP_NUM_TASKS: "2", SLURM_STEP_ID: "0", SLURM_NTASKS: "16" };

test.each([
  ["mpirun of Open MPI", openMpi, { launcher: "Open MPI", rank: 3, size: 8, localSize: 4 }],
  [
    "mpiexec of MPICH",
    { PMI_RANK: "0", PMI_SIZE: "2", MPI_LOCALNRANKS: "2" },
    { launcher: "MPICH", rank: 0, size: 2, localSize: 2 },
  ],
  ["srun with PMIx", { ...step, PMIX_RANK: "1" }, { launcher: "Slurm", rank: 1, size: 2 }],
  ["srun with PMI-2", { ...step, PMI_RANK: "1", PMI_SIZE: "2" }, { launcher: "Slurm", rank: 1, size: 2 }],
  ["mpirun of Open MPI in a job of Slurm", { ...step, ...openMpi }, { launcher: "Open MPI", rank: 3 }],
  [
    "mpiexec of MPICH in a job of Slurm",
    { ...step, PMI_RANK: "5", PMI_SIZE: "6" },
    { launcher: "MPICH", rank: 5, size: 6 },
  ],
])("the rank is found that %s has started", (_, environment, place) => {
  expect(launchedBy(environment)).toMatchObject(place);
});

test.each([
  ["no launcher", {}],
  ["mpirun -n 1", { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "1" }],
  ["a batch script of Slurm", { SLURM_PROCID: "0", SLURM_NTASKS: "16", SLURM_JOB_ID: "7" }],
  ["srun --pty bash", { SLURM_PROCID: "0", SLURM_STEP_NUM_TASKS: "1", SLURM_NTASKS: "16" }],
  ["a variable RANK of something else", { RANK: "2", WORLD_SIZE: "4" }],
])("%s starts no ranks", (_, environment) => {
  expect(launchedBy(environment)).toBeUndefined();
});

test("processes of torchrun are refused, because it does not start MPI", () => {
  const environment = {
    RANK: "1",
    WORLD_SIZE: "4",
    LOCAL_RANK: "1",
    MASTER_ADDR: "a",
    MASTER_PORT: "29500",
  };
  expect(() => launchedBy(environment)).toThrow(
    "RANK is 1 and WORLD_SIZE is 4, as torchrun sets them, but torchrun does not start MPI: start the run with mpirun -n 4.",
  );
});

test.each(["8", "-1", "1.5", "two"])("a rank of %s among 8 is refused", (rank) => {
  expect(() => launchedBy({ ...openMpi, OMPI_COMM_WORLD_RANK: rank })).toThrow(
    `OMPI_COMM_WORLD_RANK is ${rank} and OMPI_COMM_WORLD_SIZE is 8, which is no place of a rank.`,
  );
});

test("a library is loaded only where the launcher can start it", () => {
  const versions = [
    "Open MPI v4.1.4, package: Debian OpenMPI",
    "MPICH Version: 5.0.2",
    "Intel(R) MPI Library",
  ];
  const startedBy = (launcher: Parameters<typeof isStartedBy>[1]) =>
    versions.map((version) => isStartedBy(version, launcher));
  expect(startedBy("Open MPI")).toEqual([true, false, false]);
  expect(startedBy("MPICH")).toEqual([false, true, true]);
  expect(startedBy("Slurm")).toEqual([true, true, true]);
});

test("a library that cannot be loaded is named with the variable that names it", async () => {
  const error = await loadMpi("Open MPI", "/nowhere/libmpi.so.40").catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "mpi-missing" });
  expect(error).toHaveProperty(
    "message",
    "/nowhere/libmpi.so.40, which SHAKE_MPI_LIBRARY names, is no library of MPI that can be loaded: name another.",
  );
});

test("ranks of one machine that are bound to no cores share them", () => {
  const isBound = availableParallelism() < cpus().length;
  const cores = availableParallelism();
  const coresAmong = (ranks: number) =>
    coresOfRank({ ...openMpi, OMPI_COMM_WORLD_LOCAL_SIZE: String(ranks) });
  expect(coresOfRank({})).toBe(cores);
  expect(coresAmong(2)).toBe(isBound ? cores : Math.max(1, Math.floor(cores / 2)));
  expect(coresAmong(1000)).toBe(isBound ? cores : 1);
});
