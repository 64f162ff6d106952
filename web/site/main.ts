import { parseArgs } from "node:util";
import { preview } from "vite";
import { UserError } from "../../graph-builder/errors.ts";
import { buildSite } from "./build.ts";
import { modelOfRun, packagedModel, type SiteModel } from "./site-model.ts";

const OUT_DIR = "web/dist";

const usage = `npm run demo [-- --run DIR | --no-model] [--port N] [--host [ADDRESS]]
                               build and serve the page with the network of a finished run
                               [default: the network of the package]; --host serves it to other machines
npm run build:web [-- --run DIR | --no-model]
                               write the same page into ${OUT_DIR}, for any host of static files`;

interface Flags {
  readonly run: string | undefined;
  readonly hasModel: boolean;
  readonly port: number;
  /** The address to serve on: this machine alone, all addresses, or one of them. */
  readonly host: string | boolean;
  readonly help: boolean;
}

async function main([command = "demo", ...rest]: readonly string[]): Promise<void> {
  const flags = readFlags(rest);
  if (flags.help) {
    console.log(usage);
    return;
  }
  const model = await modelFor(flags);
  await buildSite(OUT_DIR, model);
  const what = model === undefined ? "without a model" : `with ${model.name}`;
  if (command !== "demo") {
    console.log(`${OUT_DIR}  the page ${what}, for any host of static files`);
    return;
  }
  await serve(flags);
  console.log(`This is the page ${what}. Press Ctrl-C to stop the server.`);
}

function modelFor({ run, hasModel }: Flags): Promise<SiteModel | undefined> {
  if (run !== undefined) return modelOfRun(run);
  return hasModel ? packagedModel() : Promise.resolve(undefined);
}

async function serve({ port, host }: Flags): Promise<void> {
  const server = await preview({
    configFile: false,
    root: "web",
    preview: {
      port,
      host,
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

function readFlags(args: readonly string[]): Flags {
  try {
    const { values } = parseArgs({
      args: withAddress(args),
      options: {
        run: { type: "string" },
        "no-model": { type: "boolean" },
        port: { type: "string" },
        host: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    const { run, port = "4173", host, help = false, "no-model": isEmpty = false } = values;
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
      throw new UserError(`--port must be a number from 0 to 65535, not ${port}.`, {
        code: "setting-invalid",
      });
    const address = host === EVERY ? true : (host ?? false);
    return { run, hasModel: !isEmpty, port: Number(port), host: address, help };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${error instanceof Error ? error.message : error}\n${usage}`, {
      code: "setting-invalid",
      cause: error,
    });
  }
}

const EVERY = "*";

/** The arguments, with every address where --host stands alone, as the server's hint writes it. */
function withAddress(args: readonly string[]): string[] {
  return args.flatMap((arg, i) => {
    const next = args[i + 1];
    return arg === "--host" && (next === undefined || next.startsWith("-")) ? [arg, EVERY] : [arg];
  });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = error instanceof UserError ? 2 : 1;
});
