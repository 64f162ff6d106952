import type { Need } from "../need.ts";
import { LIBRARY_VARIABLE } from "./library.ts";
import type { MpiState } from "./state.ts";

/** The command that installs a library of MPI and its launcher where neither is there. */
const INSTALL = "run `apt-get install openmpi-bin` (Debian, Ubuntu), or `pip install mpich`";

/**
 * What a run on several ranks needs of a machine, in the order in which it is got. `shake` is how the command
 * is started here.
 */
export function mpiNeeds(state: MpiState, shake: string): Need[] {
  const { koffi, launchers, library, ranks } = state;
  const [first] = launchers;
  const start = `mpirun -n 2 ${shake} train`;
  return [
    {
      what: "koffi",
      found: koffi,
      next: "run `npm install koffi`",
    },
    {
      what: "library of MPI",
      found: typeof library === "string" ? undefined : describeLibrary(library),
      next: libraryAdvice(state),
    },
    {
      what: "launcher",
      found: first && launchers.map(({ path, version }) => `${path} (${version})`).join(", "),
      next: INSTALL,
    },
    {
      what: "ranks",
      found: describeRanks(ranks, start),
      next: typeof ranks === "string" ? ranks : "",
    },
  ];
}

function describeLibrary({ path, version, abi }: Exclude<MpiState["library"], string>): string {
  return `${version}, by ${abi}, ${path}`;
}

function libraryAdvice({ launchers, library, beside }: MpiState): string {
  if (typeof library !== "string") return "";
  if (beside !== undefined) return `run \`export ${LIBRARY_VARIABLE}=${beside}\``;
  return launchers.length > 0 || library.includes(`${LIBRARY_VARIABLE} names,`) ? library : INSTALL;
}

function describeRanks(ranks: MpiState["ranks"], start: string): string | undefined {
  if (typeof ranks === "string") return undefined;
  if (ranks === undefined) return `this process alone; \`${start}\` starts two`;
  const { rank, size, launcher, localSize } = ranks;
  const local = localSize === undefined ? "" : `, ${localSize} on this host`;
  return `rank ${rank} of ${size} (${launcher})${local}`;
}
