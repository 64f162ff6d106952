import { type Launched, launchedBy } from "../runtime/node/mpi/launcher.ts";
import type { MpiLink } from "../runtime/node/mpi/mpi-link.ts";
import { type Farewell, RankError } from "../runtime/node/mpi/rank-error.ts";
import { beQuiet, say, sayFailure } from "./terminal.ts";

/** Milliseconds until a failure is told, and until all ranks are ended that do not end by themselves. */
const [TELLING, LEAVING] = [1000, 30_000];

let joined: Promise<MpiLink> | undefined;

/**
 * Joins the other ranks of this command; a second call returns the same link. Returns undefined where no
 * launcher has started several ranks. All ranks but the first are quiet from then on. Throws UserError where
 * MPI cannot be started.
 */
export async function joinRanks(): Promise<MpiLink | undefined> {
  const launched = launchedBy(process.env);
  if (!launched) return undefined;
  if (launched.rank > 0) beQuiet();
  joined ??= join(launched);
  return joined;
}

async function join(launched: Launched): Promise<MpiLink> {
  const { MpiLink: Links } = await import("../runtime/node/mpi/mpi-link.ts");
  return Links.join(launched);
}

/** How a command has ended on this rank. */
export interface RankOutcome {
  readonly code: number;
  /** What is to be told of a failure. */
  readonly text?: string | undefined;
  readonly error?: unknown;
}

/**
 * Ends this rank with the others: waits for them, tells what is to be told, and ends MPI. A failure is told
 * by the rank that has it, with its name; one that several ranks have, by the first of them; one that all
 * have, without a name. Returns the exit code of the command, which is the same on all ranks.
 */
export async function leaveRanks({ code, text, error }: RankOutcome): Promise<number> {
  const link = await joined?.catch(() => undefined);
  if (!link) {
    if (text !== undefined) sayFailure(text);
    return code;
  }
  const isOthers = error instanceof RankError;
  const own = isOthers
    ? { code: error.exitCode, reason: "" }
    : { code, reason: text?.split("\n", 1)[0] ?? "" };
  link.announce(own);
  const failed = await link.farewells(own, TELLING);
  if (isOthers) tellOthers(link, error, failed.keys());
  else if (text !== undefined) tellOwn(link, text, own.reason, failed);
  const all = await link.farewells(own, LEAVING);
  const end = own.code || ([...all.values()][0]?.code ?? 0);
  await link.end(end);
  return end;
}

/** Tells a failure of this rank, unless a lower rank has the same one. */
function tellOwn(link: MpiLink, text: string, reason: string, failed: ReadonlyMap<number, Farewell>): void {
  const alike = [...failed].filter(([, farewell]) => farewell.reason === reason).map(([rank]) => rank);
  if (alike.some((rank) => rank < link.rank)) return;
  sayFailure(alike.length === link.size - 1 ? text : `${link.nameOf()}: ${text}`);
}

/** A rank that failed has told it; that one has died is told by the first of those that live. */
function tellOthers(link: MpiLink, error: RankError, failed: Iterable<number>): void {
  const others = new Set(failed);
  const first = Array.from({ length: link.size }, (_, rank) => rank).find((rank) => !others.has(rank));
  if (!error.isTold && (first ?? 0) >= link.rank) sayFailure(error.message);
  else if (error.advice !== undefined) say(error.advice);
}
