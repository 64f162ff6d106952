import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { errorCode } from "../../artifacts/read-file.ts";

/** What tells a process from all others, on this machine and others. */
export interface ProcessIdentity {
  readonly host: string;
  /** Process numbers count within a PID namespace, such as a container. */
  readonly namespace: string;
  readonly pid: number;
  /** When the process started, in its system's own unit: a process number is used again. */
  readonly started: string;
}

/** The identity of this process. */
export function thisProcess(): Promise<ProcessIdentity> {
  own ??= identify();
  return own;
}

let own: Promise<ProcessIdentity> | undefined;

async function identify(): Promise<ProcessIdentity> {
  const { pid } = process;
  // systems without PID namespaces have no such link
  const namespace = await readlink("/proc/self/ns/pid").catch(() => "");
  return { host: hostname(), namespace, pid, started: (await statusOf(pid))?.started ?? "" };
}

/**
 * Whether a process of this machine and PID namespace runs still. One that has ended, and that its parent has
 * not waited for (a zombie), does not.
 */
export async function isRunning({
  pid,
  started,
}: Pick<ProcessIdentity, "pid" | "started">): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false;
  }
  const status = await statusOf(pid);
  if (status?.isOver) return false;
  return status?.started === undefined || started === "" || status.started === started;
}

/** What Linux says of a process. */
interface ProcessStatus {
  readonly isOver: boolean;
  readonly started: string | undefined;
}

/**
 * The state of a process and when it started, from Linux's /proc/PID/stat (proc(5), fields 3 and 22);
 * undefined on other systems.
 */
async function statusOf(pid: number): Promise<ProcessStatus | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  // the name, in parentheses, may hold spaces
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { isOver: fields[0] === "Z" || fields[0] === "X", started: fields[19] };
}
