import { spawn } from "node:child_process";
import { networkInterfaces } from "node:os";
import { parseArgs } from "node:util";
import { UserError } from "../../graph-builder/errors.ts";
import { buildSite } from "./build.ts";
import { serveSite } from "./server.ts";
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
  const { origin, port: used } = await serveSite(OUT_DIR, {
    port,
    ...(host === false ? {} : { host: host === true ? EVERY_ADDRESS : host }),
  });
  const shown = host === true ? `http://localhost:${used}` : origin;
  console.log(`  Local:   ${shown}/`);
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  if (host === true)
    for (const { address, family, internal } of addresses)
      if (family === "IPv4" && !internal) console.log(`  Network: http://${address}:${used}/`);
  if (process.stdout.isTTY) openInBrowser(shown);
}

/** Opens a page in the browser of a person, where the system has a command for that. */
function openInBrowser(url: string): void {
  const commands: Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>> = {
    darwin: ["open"],
    win32: ["cmd", "/c", "start", ""],
  };
  const [program, ...args] = commands[process.platform] ?? ["xdg-open"];
  spawn(program, [...args, url], { stdio: "ignore", detached: true })
    .on("error", () => {})
    .unref();
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
    if (run !== undefined && isEmpty)
      throw new UserError("--run and --no-model do not go together: give one of them.", {
        code: "setting-conflict",
      });
    const address = host === EVERY ? true : (host ?? false);
    return { run, hasModel: !isEmpty, port: Number(port), host: address, help };
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${reason.replace(/\.?$/, ".")} npm run demo -- --help lists the flags.`, {
      code: "setting-invalid",
      cause: error,
    });
  }
}

const EVERY = "*";

/** The address that stands for all of this machine. */
const EVERY_ADDRESS = "0.0.0.0";

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
