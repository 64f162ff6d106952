import { arch, cpus, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { parseJson } from "../../artifacts/json.ts";
import { readFileBytes } from "../../artifacts/read-file.ts";
import { isThere } from "../../runtime/node/files.ts";
import type { AnyRun } from "../models/any-run.ts";

const originSchema = z.object({
  /** The command as it was typed. */
  command: z.string(),
  /** The folder that it was typed in. */
  folder: z.string(),
  /** When it began, as an ISO 8601 time. */
  started: z.string(),
  machine: z.string(),
  system: z.string(),
  memory: z.string(),
  node: z.string(),
});

/** Where a run comes from: the command and the machine that began it. */
export type Origin = z.infer<typeof originSchema>;

/** The name of the file in the folder of a run. */
const FILE = "origin.json";

/** Keeps in the folder of a run which command and machine began it. A run that is resumed has it already. */
export async function keepOrigin(run: Pick<AnyRun, "path" | "write">, command: string): Promise<void> {
  if (await isThere(join(run.path, FILE))) return;
  await run.write(FILE, `${JSON.stringify(originOf(command), null, 2)}\n`);
}

function originOf(command: string): Origin {
  const [first] = cpus();
  return {
    command,
    folder: process.cwd(),
    started: new Date().toISOString(),
    machine: `${first?.model.trim() ?? "unknown processor"}, ${cpus().length} cores`,
    system: `${platform()} ${release()} ${arch()}`,
    memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    node: process.version,
  };
}

/**
 * The origin that a run's folder keeps; undefined where it keeps none. Throws UserError for a damaged file.
 */
export async function readOrigin(run: string): Promise<Origin | undefined> {
  const path = join(run, FILE);
  const bytes = await readFileBytes(path).catch(() => undefined);
  if (bytes === undefined) return undefined;
  return parseJson(originSchema, new TextDecoder().decode(bytes), { where: path, code: "file-damaged" });
}
