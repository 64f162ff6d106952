import { appendFile, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { readFileBytes } from "../../../artifacts/index.ts";
import { errorCode, refusal } from "../../../artifacts/read-file.ts";
import { makeFolder, removeTemporaryFiles, writeFileAtomic } from "../files.ts";
import { decodeOutline, type EventContent, encodeEvent } from "./event.ts";
import { decodeRecords, encodeRecord } from "./tfrecord.ts";

/** What TensorBoard looks for in the name of a file of events, with the time in seconds behind it. */
const NAME = "events.out.tfevents";

/** The file of events that a process appends to, in a folder that TensorBoard reads. */
export class EventFile {
  readonly path: string;
  /** Whether the folder has a graph. */
  readonly hasGraph: boolean;

  private constructor(path: string, hasGraph: boolean) {
    this.path = path;
    this.hasGraph = hasGraph;
  }

  /**
   * Starts a file for the events after a step. Removes later events from the older files in the folder, and
   * the images of this step, which the end of a run has written, so that no event is there twice. Throws
   * UserError where the system refuses to write.
   */
  static async start(folder: string, step: number): Promise<EventFile> {
    await makeFolder(folder);
    await removeTemporaryFiles(folder);
    const names = (await readdir(folder)).filter((name) => name.startsWith(NAME));
    let hasGraph = false;
    for (const name of names) hasGraph = (await trim(join(folder, name), step)) || hasGraph;
    const file = new EventFile(await freeFile(folder, names), hasGraph);
    await file.append({ type: "file" }, 0);
    if (names.length > 0) await file.append({ type: "start" }, step + 1);
    return file;
  }

  /** Appends an event of a step. */
  async append(content: EventContent, step: number): Promise<void> {
    const record = encodeRecord(encodeEvent(content, step, Date.now() / 1000));
    await appendFile(this.path, record).catch((error: unknown) => {
      throw refusal(this.path, "written", error);
    });
  }
}

/** Removes what a file has of later steps, and a record that was cut. Returns whether a graph is left. */
async function trim(path: string, step: number): Promise<boolean> {
  const bytes = await readFileBytes(path);
  const kept: Uint8Array[] = [];
  let hasGraph = false;
  for (const data of decodeRecords(bytes)) {
    const event = decodeOutline(data);
    if (event.step > step || (event.isImage && event.step === step)) continue;
    kept.push(encodeRecord(data));
    hasGraph ||= event.isGraph;
  }
  const all = Buffer.concat(kept);
  if (all.length < bytes.length) await writeFileAtomic(path, all);
  return hasGraph;
}

/**
 * Creates an empty file whose name says the time. TensorBoard reads files in the order of their names, so it
 * is behind all others, also where the clock was set back.
 */
async function freeFile(folder: string, others: readonly string[]): Promise<string> {
  const latest = Math.max(0, ...others.map(secondsIn));
  for (let seconds = Math.max(Math.floor(Date.now() / 1000), latest + 1); ; seconds++) {
    const path = join(folder, `${NAME}.${seconds}.shake`);
    try {
      const file = await open(path, "wx");
      await file.close();
      return path;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw refusal(path, "written", error);
    }
  }
}

/** The time in the name of a file of events, in seconds; 0 where there is none. */
function secondsIn(name: string): number {
  return Number(/^\.(\d{10})\./.exec(name.slice(NAME.length))?.[1] ?? 0);
}
