import type { LauncherName } from "./launcher.ts";

/** The constants of an MPI library: each is the value of a handle or a pointer. */
export interface Handles {
  readonly world: bigint;
  readonly byte: bigint;
  readonly errorsReturn: bigint;
  readonly ignoredStatus: bigint;
}

/** A binary interface of MPI: how its handles are passed, and the libraries that have it. */
export interface Abi {
  readonly name: string;
  /** The library's file name, as the loader finds it. */
  readonly library: string;
  /** The C type of a handle. */
  readonly handle: "uintptr_t" | "int";
  /** Handles that are constants, or are the addresses of the library's global symbols. */
  readonly handles: Handles | Readonly<Record<keyof Omit<Handles, "ignoredStatus">, string>>;
}

/**
 * The interfaces in the order in which they are looked for. The constants of the standard are those of MPI
 * 5.0, chapter 20; those of MPICH's own interface, which Intel MPI and MVAPICH share, are in its mpi.h.
 */
export const abis: readonly Abi[] = [
  {
    name: "the MPI 5 standard ABI",
    library: "libmpi_abi.so.1",
    handle: "uintptr_t",
    handles: { world: 0x101n, byte: 0x247n, errorsReturn: 0x143n, ignoredStatus: 0n },
  },
  {
    name: "Open MPI's ABI",
    library: "libmpi.so.40",
    handle: "uintptr_t",
    handles: {
      world: "ompi_mpi_comm_world",
      byte: "ompi_mpi_byte",
      errorsReturn: "ompi_mpi_errors_return",
    },
  },
  {
    name: "MPICH's ABI",
    library: "libmpi.so.12",
    handle: "int",
    handles: { world: 0x44000000n, byte: 0x4c00010dn, errorsReturn: 0x54000001n, ignoredStatus: 1n },
  },
];

/**
 * Whether a library, by the text of its version, can join the processes of a launcher: an Open MPI that
 * another mpiexec has started would see itself as the only rank, and so would an MPICH that mpirun has.
 */
export function isStartedBy(version: string, launcher: LauncherName): boolean {
  const isOpenMpi = /Open MPI/i.test(version);
  return { "Open MPI": isOpenMpi, MPICH: !isOpenMpi, Slurm: true }[launcher];
}
