#!/usr/bin/env node
// Node's own answer to SIGUSR1 is to open its debugger; a command that listens for the signal takes it over
process.on("SIGUSR1", () => {
  if (process.listenerCount("SIGUSR1") === 1) process.kill(process.pid, "SIGTERM");
});

const oldest = [20, 20] as const;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  process.stderr.write(
    `shake: Node ${oldest.join(".")} or newer is needed, and this is ${process.versions.node}.\n`,
  );
  process.exitCode = 2;
} else {
  try {
    const { main } = await import("./command-line.ts");
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    // this program's own files cannot be opened
    if (!(error instanceof Error && "code" in error && /^E[MN]FILE$/.test(String(error.code)))) throw error;
    process.stderr.write("shake: This process has too many open files: allow more of them (ulimit -n).\n");
    process.exitCode = 2;
  }
}

export {};
