import { createHash, randomUUID } from "node:crypto";
import { lstat, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isRunning, type ProcessIdentity, thisProcess } from "./process-identity.ts";

/** A temporary file of another machine is taken for abandoned where nobody has changed it for so long. */
const ABANDONED_MS = 24 * 60 * 60_000;

/** `.MACHINE-PID-START-UUID.tmp`; one without the first three is of a version before they were written. */
const temporaryName =
  /^\.(?:(?<machine>[0-9a-f]{8})-(?<pid>\d+)-(?<started>\d*)-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/** The folders in which this process has removed what dead ones have left. */
const swept = new Set<string>();

/**
 * A new path for a temporary file or folder; its name says which process makes it. The first call for a
 * folder removes what dead processes have left there.
 */
export async function temporaryIn(folder: string): Promise<string> {
  const path = resolve(folder);
  if (!swept.has(path)) {
    swept.add(path);
    await removeTemporaryFiles(path);
  }
  const own = await thisProcess();
  return join(folder, `.${machineOf(own)}-${own.pid}-${own.started}-${randomUUID()}.tmp`);
}

/**
 * Removes the temporary files and folders that dead processes have left in a folder, and none of a living
 * one. One of another machine is removed where nobody has changed it for a day.
 */
export async function removeTemporaryFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      if (await isLeft(path, name)) await rm(path, { recursive: true, force: true }).catch(() => {});
    }),
  );
}

async function isLeft(path: string, name: string): Promise<boolean> {
  const match = temporaryName.exec(name);
  if (!match) return false;
  const { machine, pid, started = "" } = match.groups ?? {};
  if (machine === undefined) return true;
  if (machine === machineOf(await thisProcess())) return !(await isRunning({ pid: Number(pid), started }));
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS;
}

/** Eight hexadecimal digits for a host and PID namespace. */
function machineOf({ host, namespace }: ProcessIdentity): string {
  return createHash("sha256").update(`${host}\n${namespace}`).digest("hex").slice(0, 8);
}
