import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mpiNeeds } from "../../../../runtime/node/mpi/needs.ts";
import { launcherNamed, type MpiState, mpiState } from "../../../../runtime/node/mpi/state.ts";
import { hasMpirun } from "../../../support/mpirun.ts";
import { temporaryFolder } from "../../../support/shake.ts";

const folder = temporaryFolder();
const shake = "npx shake";

function launcher(name: string, text: string): void {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho '${text}'\n`);
  chmodSync(path, 0o755);
}

test.each([
  ["mpirun (Open MPI) 4.1.4", "Open MPI"],
  ["mpiexec (OpenRTE) 4.1.4", "Open MPI"],
  ["HYDRA build details:\n    Version:    4.1.2", "MPICH"],
  ["Intel(R) MPI Library for Linux* OS, Version 2021.11 Build 20231005", "MPICH"],
  ["slurm 23.11.4", "Slurm"],
  ["something else 1.0", undefined],
])("the launcher that prints %j is %s", (text, name) => {
  expect(launcherNamed(text)).toBe(name);
});

test("where nothing of MPI is there, each thing has its next command", async () => {
  const state: MpiState = {
    koffi: undefined,
    launchers: [],
    library: "No library of MPI is found (libmpi.so.40): install one.",
    ranks: undefined,
  };
  const install = "run `apt-get install openmpi-bin` (Debian, Ubuntu), or `pip install mpich`";
  expect(mpiNeeds(state, shake)).toEqual([
    { what: "koffi", found: undefined, next: "run `npm install koffi`" },
    { what: "library of MPI", found: undefined, next: install },
    { what: "launcher", found: undefined, next: install },
    { what: "ranks", found: "this process alone; `mpirun -n 2 npx shake train` starts two", next: "" },
  ]);
});

test("launchers are found in PATH, and a library that the variable names wrongly is told of", async () => {
  launcher("mpiexec", "HYDRA build details:");
  launcher("srun", "slurm 23.11.4");
  const state = await mpiState({
    PATH: `/nowhere:${folder}`,
    SHAKE_MPI_LIBRARY: "/nowhere/libmpi.so.12",
  });
  expect(state.koffi).toMatch(/^\d+\.\d+\.\d+$/);
  expect(state.launchers).toEqual([
    { path: join(folder, "mpiexec"), name: "MPICH", version: "HYDRA build details:" },
    { path: join(folder, "srun"), name: "Slurm", version: "slurm 23.11.4" },
  ]);
  const [, library, launchers] = mpiNeeds(state, shake);
  expect(library).toEqual({
    what: "library of MPI",
    found: undefined,
    next: "/nowhere/libmpi.so.12, which SHAKE_MPI_LIBRARY names, is no library of MPI that can be loaded: name another.",
  });
  expect(launchers?.found).toBe(
    `${join(folder, "mpiexec")} (HYDRA build details:), ${join(folder, "srun")} (slurm 23.11.4)`,
  );
});

test("ranks of a launcher are told with their place, and variables that make no sense with a sentence", async () => {
  const openMpi = { OMPI_COMM_WORLD_RANK: "3", OMPI_COMM_WORLD_SIZE: "8", OMPI_COMM_WORLD_LOCAL_SIZE: "4" };
  const ranksIn = async (env: Record<string, string>) => mpiNeeds(await mpiState(env), shake)[3];
  expect(await ranksIn(openMpi)).toMatchObject({ found: "rank 3 of 8 (Open MPI), 4 on this host" });
  expect(await ranksIn({ ...openMpi, OMPI_COMM_WORLD_RANK: "9" })).toMatchObject({
    found: undefined,
    next: "OMPI_COMM_WORLD_RANK is 9 and OMPI_COMM_WORLD_SIZE is 8, which is no place of a rank.",
  });
});

test.runIf(hasMpirun)("a library that the loader finds is told with its version and its path", async () => {
  const [, library, launchers] = mpiNeeds(await mpiState(), shake);
  expect(library?.found).toMatch(/^\S.* v?\d+\.\d+.*, by .* ABI, \/.*libmpi.*\.so\.\d+/);
  expect(launchers?.found).toMatch(/\/mpirun \(.*\d+\.\d+/);
});
