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
  return { host: hostname(), namespace, pid, started: (await startOf(pid)) ?? "" };
}

/** Whether a process of this machine and PID namespace runs still. */
export async function isRunning({
  pid,
  started,
}: Pick<ProcessIdentity, "pid" | "started">): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false;
  }
  const start = await startOf(pid);
  return start === undefined || started === "" || start === started;
}

/** When a process started, from Linux's /proc/PID/stat (proc(5), field 22); undefined on other systems. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // the name, in parentheses, may hold spaces
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}
