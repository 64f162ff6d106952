import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { say } from "../../terminal.ts";

/** The program of each system that opens a file as a person would. */
const openers: Readonly<Record<string, string>> = { darwin: "open", win32: "explorer.exe" };

/** Opens a file in the program of this machine for it. Says so where there is none. */
export async function openInBrowser(path: string): Promise<void> {
  const opener = openers[process.platform] ?? "xdg-open";
  const started = await new Promise<boolean>((settle) => {
    const child = spawn(opener, [resolve(path)], { detached: true, stdio: "ignore" });
    child.once("spawn", () => {
      child.unref();
      settle(true);
    });
    child.once("error", () => settle(false));
  });
  if (!started) say(`This machine has no ${opener}, which opens files: open ${path} by hand.`);
}
