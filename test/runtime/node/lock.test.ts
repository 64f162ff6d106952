import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FileLock, withLock } from "../../../runtime/node/lock.ts";
import { messageOf } from "../../support/user-error.ts";

const module = new URL("../../../dist/runtime/node/lock.js", import.meta.url).href;
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "shakenet-lock-"));
  path = join(folder, ".lock");
});

afterEach(() => rm(folder, { recursive: true }));

/** A process that takes the lock and keeps it until it is killed. */
async function holdElsewhere(): Promise<{ pid: number; kill: () => Promise<void> }> {
  const script = `const { FileLock } = await import(${JSON.stringify(module)});
    await FileLock.acquire(${JSON.stringify(path)}, "the run");
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const kill = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { pid: child.pid ?? 0, kill };
}

/** Changes what the lock file says of its holder. */
async function rewrite(changes: object): Promise<void> {
  const holder = JSON.parse(await readFile(path, "utf8"));
  await writeFile(path, JSON.stringify({ ...holder, ...changes }));
}

test("a lock that a living process holds is refused in a sentence that names the process", async () => {
  const { pid, kill } = await holdElsewhere();
  try {
    const message = await messageOf(FileLock.acquire(path, "runs/a"));
    expect(message).toMatch(
      new RegExp(`^runs/a is in use by process ${pid} on ${hostname()} since \\d{4}-.*Z: wait until it ends`),
    );
  } finally {
    await kill();
  }
});

test("a lock of a process that was killed is taken over, and nothing stays behind", async () => {
  const { kill } = await holdElsewhere();
  await kill();
  const lock = await FileLock.acquire(path, "runs/a");
  expect(JSON.parse(await readFile(path, "utf8")).pid).toBe(process.pid);
  await lock.release();
  expect(await readdir(folder)).toEqual([]);
});

test.skipIf(process.platform !== "linux")(
  "a process that was killed and that its parent never waits for (a zombie) does not keep a lock",
  async () => {
    // the shell becomes a program that does not know of its child
    const parent = spawn("sh", ["-c", "sleep 0.1 & echo $!; exec sleep 60"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [pid] = await once(parent.stdout, "data");
      const status = `/proc/${Number(pid)}/stat`;
      await vi.waitFor(async () => expect(await readFile(status, "utf8")).toContain(") Z "), 10_000);
      const started = (await readFile(status, "utf8")).split(") ")[1]?.split(" ")[19];
      await FileLock.acquire(path, "runs/a");
      await rewrite({ id: "other", pid: Number(pid), started });
      const lock = await FileLock.acquire(path, "runs/a");
      await lock.release();
    } finally {
      parent.kill();
    }
  },
);

test("a process number that was given to another process does not keep a lock", async () => {
  await FileLock.acquire(path, "runs/a");
  await rewrite({ id: "other", started: "1" });
  const lock = await FileLock.acquire(path, "runs/a");
  await lock.release();
});

test("a lock of another machine is kept while it is touched, and taken over after ten minutes", async () => {
  await FileLock.acquire(path, "runs/a");
  await rewrite({ id: "other", host: "elsewhere", pid: 1 });
  expect(await messageOf(FileLock.acquire(path, "runs/a"))).toContain("process 1 on elsewhere");
  const past = new Date(Date.now() - 11 * 60_000);
  await utimes(path, past, past);
  const lock = await FileLock.acquire(path, "runs/a");
  await lock.release();
});

test("a lock file whose content says nothing is respected for ten minutes", async () => {
  await writeFile(path, "{}");
  expect(await messageOf(FileLock.acquire(path, "runs/a"))).toContain(`a process that ${path} does not name`);
  const past = new Date(Date.now() - 11 * 60_000);
  await utimes(path, past, past);
  const lock = await FileLock.acquire(path, "runs/a");
  await lock.release();
});

test("a lock whose time is far in the future, by a clock that was set back, is taken over", async () => {
  await FileLock.acquire(path, "runs/a");
  await rewrite({ id: "other", host: "elsewhere", pid: 1 });
  const later = new Date(Date.now() + 24 * 3600_000);
  await utimes(path, later, later);
  const lock = await FileLock.acquire(path, "runs/a");
  await lock.release();
});

test("a lock of another machine says how to go on sooner, and a folder in its place is one sentence", async () => {
  await FileLock.acquire(path, "runs/a");
  await rewrite({ id: "other", host: "elsewhere", pid: 1 });
  expect(await messageOf(FileLock.acquire(path, "runs/a"))).toContain(
    `wait until it ends, stop it, or delete ${path} where it is gone.`,
  );
  await rm(path);
  await mkdir(path);
  const past = new Date(Date.now() - 11 * 60_000);
  await utimes(path, past, past);
  expect(await messageOf(FileLock.acquire(path, "runs/a"))).toBe(
    `${path} cannot be removed: it is a folder.`,
  );
});

test("a process that died while it took over a lock does not block the next", async () => {
  const { kill } = await holdElsewhere();
  await kill();
  await writeFile(`${path}.takeover`, "");
  const lock = await FileLock.acquire(path, "runs/a");
  await lock.release();
  expect(await readdir(folder)).toEqual([]);
});

test("those who wait get the lock one at a time, also where they begin with a dead one", async () => {
  const { kill } = await holdElsewhere();
  await kill();
  let inside = 0;
  const most: number[] = [];
  const work = async () => {
    most.push(++inside);
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside--;
  };
  await Promise.all(Array.from({ length: 6 }, () => withLock(path, "the cache", { wait: true }, work)));
  expect(most).toEqual([1, 1, 1, 1, 1, 1]);
});

test("a lock that another process has taken over is not removed by its former holder", async () => {
  const lock = await FileLock.acquire(path, "runs/a");
  await rewrite({ id: "other" });
  await lock.release();
  expect(await readdir(folder)).toEqual([".lock"]);
});

test("a folder that cannot be written is one sentence", async () => {
  expect(await messageOf(FileLock.acquire(join(folder, "none", ".lock"), "runs/a"))).toMatch(
    /cannot be written: its folder does not exist\.$/,
  );
});
