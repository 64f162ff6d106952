import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";

/**
 * Loaded before the command line with `--import`. SHAKE_FAULT says what happens at which call that changes
 * files: `7:before` and `7:after` kill the process before or after the seventh call, `7:half` in the middle
 * of a write, `7:ENOSPC` lets it fail with that error; `count` prints their number at the end, on file
 * descriptor 3.
 */
const [place = "", action = ""] = (process.env["SHAKE_FAULT"] ?? "").split(":");
const chosen = Number(place);
let calls = 0;

function die(): Promise<never> {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {});
}

/** Half of what a write writes. */
function halved(content: unknown): unknown {
  if (typeof content === "string") return content.slice(0, content.length / 2);
  return content instanceof Uint8Array ? content.subarray(0, content.length / 2) : content;
}

function isReading(name: string, args: readonly unknown[]): boolean {
  if (name !== "open") return false;
  const [, flags = "r"] = args;
  return typeof flags === "number"
    ? (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR)) === 0
    : flags === "r";
}

function guard(target: object, name: string): void {
  const original: unknown = Reflect.get(target, name);
  if (typeof original !== "function") throw new TypeError(`there is no ${name}`);
  Reflect.set(target, name, async function (this: unknown, ...args: unknown[]) {
    const isChosen = !isReading(name, args) && ++calls === chosen;
    if (!isChosen || action === "after") {
      const result: unknown = await Reflect.apply(original, this, args);
      return isChosen ? die() : result;
    }
    if (action === "half" && /^write/.test(name)) {
      await Reflect.apply(original, this, [halved(args[0])]);
      return die();
    }
    if (action === "before" || action === "half") return die();
    throw Object.assign(new Error(`${action}: injected, ${name}`), { code: action, syscall: name });
  });
}

if (isMainThread && place !== "") {
  for (const name of ["open", "rename", "link", "mkdir", "rm", "writeFile"]) guard(fs.promises, name);
  const file = await fs.promises.open(fileURLToPath(import.meta.url));
  for (const name of ["sync", "write", "writeFile"]) guard(Object.getPrototypeOf(file), name);
  await file.close();
  calls = 0;
  syncBuiltinESMExports();
  if (place === "count") process.on("exit", () => fs.writeSync(3, String(calls)));
}
