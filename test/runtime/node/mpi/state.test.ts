import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadMpi } from "../../../../runtime/node/mpi/library.ts";
import { mpiNeeds } from "../../../../runtime/node/mpi/needs.ts";
import { launcherNamed, type MpiState, mpiState } from "../../../../runtime/node/mpi/state.ts";
import { hasMpirun } from "../../../support/mpirun.ts";
import { temporaryFolder } from "../../../support/shake.ts";

const folder = temporaryFolder();
const shake = "npx shake";

function launcher(name: string, text: string): void {
  mkdirSync(join(folder, "bin"), { recursive: true });
  const path = join(folder, "bin", name);
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

test("a library in the folder lib beside the launcher is named where the loader finds none that fits", () => {
  const state: MpiState = {
    koffi: "3.3.4",
    launchers: [{ path: "/venv/bin/mpiexec", name: "MPICH", version: "HYDRA build details:" }],
    library: "MPICH cannot start Open MPI v4.1.4, and no other library of MPI is found (libmpi.so.40).",
    beside: "/venv/lib/libmpi_abi.so.1",
    ranks: undefined,
  };
  expect(mpiNeeds(state, shake)[1]?.next).toBe("run `export SHAKE_MPI_LIBRARY=/venv/lib/libmpi_abi.so.1`");
  expect(mpiNeeds({ ...state, beside: undefined }, shake)[1]?.next).toBe(state.library);
});

test("launchers are found in PATH, and a library that the variable names wrongly is told of", async () => {
  launcher("mpiexec", "HYDRA build details:\n    Version:    5.0.2");
  launcher("srun", "slurm 23.11.4");
  const given = { PATH: `/nowhere:${folder}/bin`, SHAKE_MPI_LIBRARY: "/nowhere/libmpi.so.12" };
  const state = await mpiState(given);
  expect(state.koffi).toMatch(/^\d+\.\d+\.\d+$/);
  const [mpiexec, srun] = [join(folder, "bin/mpiexec"), join(folder, "bin/srun")];
  expect(state.launchers).toEqual([
    { path: mpiexec, name: "MPICH", version: "MPICH 5.0.2" },
    { path: srun, name: "Slurm", version: "slurm 23.11.4" },
  ]);
  const [, library, launchers] = mpiNeeds(state, shake);
  expect(library).toEqual({
    what: "library of MPI",
    found: undefined,
    next: "/nowhere/libmpi.so.12, which SHAKE_MPI_LIBRARY names, is no library of MPI that can be loaded: name another.",
  });
  expect(launchers?.found).toBe(`${mpiexec} (MPICH 5.0.2), ${srun} (slurm 23.11.4)`);
  mkdirSync(join(folder, "lib"));
  writeFileSync(join(folder, "lib/libmpi.so.12"), "");
  expect((await mpiState(given)).beside).toBe(join(folder, "lib/libmpi.so.12"));
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

test.runIf(hasMpirun)("a library that another launcher starts is refused with both names", async () => {
  const found = mpiNeeds(await mpiState(), shake)[1]?.found ?? "";
  const [version] = found.split(", by ");
  const error = await loadMpi("MPICH", "libmpi.so.40").catch((reason: unknown) => reason);
  expect(error).toHaveProperty(
    "message",
    `libmpi.so.40, which SHAKE_MPI_LIBRARY names, is ${version}, which MPICH cannot start: name another.`,
  );
});
