import { parseArgs } from "node:util";
import { preview } from "vite";
import { UserError } from "../../graph-builder/errors.ts";
import { finishedRun, newestRun } from "../../runtime/node/run/run-directory.ts";
import { buildSite } from "./build.ts";

const OUT_DIR = "web/dist";

const usage = `npm run demo [-- --run DIR] [--port N]  build and serve the page with the network of a run [default: the newest run]
npm run build:web [-- --run DIR]        write the same page into ${OUT_DIR}, for any host of static files`;

async function main([command = "demo", ...rest]: readonly string[]): Promise<void> {
  const { run: named, port, help } = readFlags(rest);
  if (help) {
    console.log(usage);
    return;
  }
  const run = named === undefined ? await newestRun() : await finishedRun(named);
  if (named !== undefined && run === undefined) {
    throw new UserError(
      `${named} is not the folder of a finished run: it lacks model.onnx or checkpoints/last.`,
      { code: "run-missing" },
    );
  }
  if (run === undefined && command === "demo") {
    throw new UserError("There is no finished run in runs/: train a network with npx shake train first.", {
      code: "run-missing",
    });
  }
  await buildSite(OUT_DIR, run);
  const what = run === undefined ? "without a model" : `with the model of ${run.path}`;
  if (command !== "demo") {
    console.log(`${OUT_DIR}  the page ${what}, for any host of static files`);
    return;
  }
  await serve(port);
  console.log(`This is the page ${what}. Press Ctrl-C to stop the server.`);
}

async function serve(port: number): Promise<void> {
  const server = await preview({
    configFile: false,
    root: "web",
    preview: {
      port,
      open: process.stdout.isTTY,
      // threads of WebAssembly need cross-origin isolation; without it the page runs on one thread
      headers: {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
      },
    },
  });
  server.printUrls();
}

function readFlags(args: readonly string[]): { run?: string | undefined; port: number; help: boolean } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { run: { type: "string" }, port: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
    const { run, port = "4173", help = false } = values;
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
      throw new UserError(`--port must be a number from 0 to 65535, not ${port}.`, {
        code: "setting-invalid",
      });
    return { run, port: Number(port), help };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${error instanceof Error ? error.message : error}\n${usage}`, {
      code: "setting-invalid",
      cause: error,
    });
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = error instanceof UserError ? 2 : 1;
});
