import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { link, lstat, open, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { errorCode, readFileBytes, refusal } from "../../artifacts/read-file.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { isRunning, thisProcess } from "./process-identity.ts";
import { temporaryIn } from "./temporary.ts";

/** The holder touches its lock this often, so that other machines see that it lives. */
const HEARTBEAT_MS = 10_000;

/** A lock of another machine that nobody has touched for so long is taken over. */
const ABANDONED_MS = 10 * 60_000;

/** How long a process waits for another that is taking over a lock; that takes milliseconds. */
const TAKEOVER_MS = 2_000;

const POLL_MS = 100;

const holderSchema = z.object({
  id: z.string(),
  host: z.string(),
  /** Process numbers count within a PID namespace, such as a container. */
  namespace: z.string(),
  pid: z.int().min(1),
  /** When the process started, in its system's own unit: a process number is used again. */
  started: z.string(),
  /** When the lock was taken, as an ISO 8601 time. */
  since: z.string(),
});

/** Who holds a lock. */
export type LockHolder = z.infer<typeof holderSchema>;

/**
 * A lock file: it exists while a process writes what the lock stands for. Its content says who holds it. A
 * lock of a dead process of this machine is taken over at once; one of another machine where nobody has
 * touched it for ten minutes. This works on network folders too, because it needs no more of them than that
 * `link`, or the creation of a file that must not exist, is atomic.
 */
export class FileLock {
  readonly #path: string;
  readonly #id: string;
  readonly #heartbeat: NodeJS.Timeout;

  private constructor(path: string, { id, ...holder }: LockHolder) {
    this.#path = path;
    this.#id = id;
    const content = contentOf({ id, ...holder });
    this.#heartbeat = setInterval(() => void this.#touch(content), HEARTBEAT_MS);
    this.#heartbeat.unref();
    process.once("exit", this.#removeAtExit);
  }

  /**
   * Takes the lock at `path`; `what` names in the error what it stands for. With `wait`, it waits for a
   * living holder, else it throws UserError, which names the holder. Throws UserError too where the file
   * cannot be written.
   */
  static async acquire(path: string, what: string, { wait = false } = {}): Promise<FileLock> {
    const holder = { id: randomUUID(), ...(await thisProcess()), since: new Date().toISOString() };
    for (;;) {
      if (await create(path, holder)) return new FileLock(path, holder);
      const other = await livingHolder(path);
      if (other === "dead") continue;
      if (!wait) throw await inUse(what, path, other);
      await sleep(POLL_MS);
    }
  }

  /** Gives the lock back. It leaves a lock alone that another process has taken over. */
  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    process.removeListener("exit", this.#removeAtExit);
    const holder = await readHolder(this.#path);
    if (holder?.id === this.#id) await rm(this.#path, { force: true });
  }

  readonly #removeAtExit = () => {
    if (readHolderSync(this.#path)?.id === this.#id) rmSync(this.#path, { force: true });
  };

  /**
   * Writes the content again, so that the machine that has the file sets its time. Where that fails, the lock
   * is still held, and another machine may take it over after ABANDONED_MS.
   */
  async #touch(content: string): Promise<void> {
    const holder = await readHolder(this.#path);
    if (holder?.id === this.#id) await writeFile(this.#path, content, { flag: "r+" }).catch(() => {});
  }
}

/** Runs `work` while this process holds a lock. Throws as FileLock.acquire and as `work` does. */
export async function withLock<T>(
  path: string,
  what: string,
  options: { readonly wait?: boolean },
  work: () => Promise<T>,
): Promise<T> {
  const lock = await FileLock.acquire(path, what, options);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Whether a living process holds the lock at `path`. Changes nothing. */
export async function isLocked(path: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  // the clock of another machine is that of a new file; where none can be written, the lock counts as held
  const isDead = await isAbandoned(path, await readHolder(path)).catch(() => false);
  return !isDead && existsSync(path);
}

/** Makes the lock file, with its content, where there is none. Returns false where there is one. */
async function create(path: string, holder: LockHolder): Promise<boolean> {
  const content = contentOf(holder);
  const temporary = await temporaryIn(dirname(path));
  try {
    await writeFile(temporary, content, { flag: "wx" });
    await link(temporary, path).catch(async (error: unknown) => {
      if (errorCode(error) === "EEXIST") throw error;
      await createWithoutLink(path, content);
    });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw refusal(path, "written", error);
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

/** Makes the lock file on a file system without hard links, such as exFAT. */
async function createWithoutLink(path: string, content: string): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(content);
  } catch (error) {
    await rm(path, { force: true }).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}

/**
 * The holder of a lock; undefined where its content does not say. Removes the lock of a dead one. One that
 * was given back in the meantime is as good as that of a dead one.
 */
async function livingHolder(path: string): Promise<LockHolder | undefined | "dead"> {
  const holder = await readHolder(path);
  if (!holder && (await modifiedAt(path)) === undefined) return "dead";
  if (!(await isAbandoned(path, holder))) return holder;
  const takeover = `${path}.takeover`;
  if (!(await beginTakeover(takeover))) return "dead";
  try {
    // it may have been taken over, and by a living process, in the meantime
    const current = await readHolder(path);
    if (current?.id === holder?.id && (await isAbandoned(path, current))) await rm(path, { force: true });
  } catch (error) {
    throw refusal(path, "removed", error);
  } finally {
    await rm(takeover, { force: true });
  }
  return "dead";
}

/** One process at a time removes a dead lock: the one that has created the file `takeover`. */
async function beginTakeover(takeover: string): Promise<boolean> {
  try {
    await (await open(takeover, "wx")).close();
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw refusal(takeover, "written", error);
  }
  const before = await modifiedAt(takeover);
  await sleep(TAKEOVER_MS);
  // the same file after so long is of a process that died while it took over
  if (before !== undefined && (await modifiedAt(takeover)) === before) await rm(takeover, { force: true });
  return false;
}

/** Whether nobody holds a lock any more; false where there is none, because another may take it now. */
async function isAbandoned(path: string, holder: LockHolder | undefined): Promise<boolean> {
  const { host, namespace } = await thisProcess();
  if (holder?.host === host && holder.namespace === namespace) return !(await isRunning(holder));
  const [touched, now] = [await modifiedAt(path), await clockOf(dirname(path))];
  // a time that far in the future is of a clock that was set back, and nobody has touched the lock since
  return touched !== undefined && Math.abs(now - touched) > ABANDONED_MS;
}

/** The time by the clock of the machine that has the folder, whose times are on its files. */
async function clockOf(folder: string): Promise<number> {
  const probe = await temporaryIn(folder);
  try {
    await writeFile(probe, "");
    return (await modifiedAt(probe)) ?? Date.now();
  } finally {
    await rm(probe, { force: true });
  }
}

async function readHolder(path: string): Promise<LockHolder | undefined> {
  const bytes = await readFileBytes(path).catch(() => undefined);
  return holderIn(new TextDecoder().decode(bytes));
}

function readHolderSync(path: string): LockHolder | undefined {
  return existsSync(path) ? holderIn(readFileSync(path, "utf8")) : undefined;
}

function contentOf(holder: LockHolder): string {
  return `${JSON.stringify(holder)}\n`;
}

function holderIn(content: string): LockHolder | undefined {
  try {
    return holderSchema.parse(JSON.parse(content));
  } catch {
    return undefined;
  }
}

async function modifiedAt(path: string): Promise<number | undefined> {
  return lstat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}

async function inUse(what: string, path: string, holder: LockHolder | undefined): Promise<UserError> {
  const who = holder
    ? `process ${holder.pid} on ${holder.host} since ${holder.since}`
    : `a process that ${path} does not name`;
  const { host, namespace } = await thisProcess();
  const isHere = holder?.host === host && holder.namespace === namespace;
  const way = isHere ? "or stop it" : `stop it, or delete ${path} where it is gone`;
  return new UserError(`${what} is in use by ${who}: wait until it ends, ${way}.`, {
    code: "locked",
    details: { path, holder },
  });
}
