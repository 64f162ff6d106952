import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  generateArtifacts,
  type Manifest,
  parseManifest,
} from "../../artifacts/index.ts";
import { decodeMetadata, decodeModel, decodeOutline, printModel } from "../../graph-builder/index.ts";
import { classificationRecordIn } from "../../runtime/data/classification-task.ts";
import { Wheel } from "../../runtime/node/cuda/wheel.ts";
import { readPicture } from "../../runtime/node/index.ts";
import { FileLock } from "../../runtime/node/lock.ts";
import { thisProcess } from "../../runtime/node/process-identity.ts";
import { readJsonObject } from "../../runtime/node/run/schema.ts";
import { classNamesIn } from "../../shakenet/index.ts";
import { runConfigIn } from "../../shakenet/node/run-config.ts";
import { zipOf } from "../support/picture-folder.ts";

/** A kind of file, a sound one of it, and what reads it. */
export interface Format {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isText: boolean;
  /** Reads a file as the product does. The result is `other` where it is silently not what it should be. */
  readonly read: (bytes: Uint8Array, path: string) => unknown;
}

/** The result of a reader that took a damaged file for a sound one of another content. */
export const other = Symbol("silently other");

/** Sound files of every format, made from a finished run and an artifacts folder. */
export async function makeFormats(reference: string, pictures: string): Promise<Format[]> {
  const file = (...parts: string[]) =>
    readFile(join(reference, ...parts)).then((each) => new Uint8Array(each));
  const binary = (name: string, bytes: Uint8Array, read: Format["read"]): Format => ({
    name,
    bytes,
    isText: false,
    read,
  });
  const text = (name: string, bytes: Uint8Array, read: Format["read"]): Format => ({
    name,
    bytes,
    isText: true,
    read,
  });
  const saved = (read: (path: string) => unknown) => async (bytes: Uint8Array, path: string) => {
    await writeFile(path, bytes);
    return read(path);
  };
  const picture = saved((path) => readPicture(path, { height: 32, width: 32 }));
  return [
    binary("onnx, a model", await file("run", "model.onnx"), readModel),
    binary("onnx, a training model", await file("new", "training_model.onnx"), readModel),
    binary("onnx, made trainable", await file("run", "model.onnx"), (bytes) =>
      generateArtifacts(bytes, { loss: "cross-entropy" }),
    ),
    binary("checkpoint", await file("run", "checkpoints", "last"), (bytes, path) =>
      encodeCheckpoint(decodeCheckpoint(bytes, path)),
    ),
    text("manifest.json", await file("new", "manifest.json"), (bytes, path) =>
      parseManifest(new TextDecoder().decode(bytes), path, (each): each is Manifest => each.format === 1),
    ),
    text(
      "config.json",
      await file("run", "config.json"),
      saved(async (path) => runConfigIn(await readJsonObject(path), path)),
    ),
    text("metrics.jsonl", await file("run", "metrics.jsonl"), (bytes, path) =>
      new TextDecoder()
        .decode(bytes)
        .trim()
        .split("\n")
        .map((line) => classificationRecordIn(line, path)),
    ),
    binary("picture, PNG", await readFile(join(pictures, "picture.png")), picture),
    binary("picture, JPEG", await readFile(join(pictures, "picture.jpg")), picture),
    binary(
      "zip (a wheel)",
      wheelOf("onnxruntime/capi/x.so", await file("run", "model.onnx")),
      saved(readWheel),
    ),
    text("lock file", await lockOfDead(), saved(takeLock)),
  ];
}

function readModel(bytes: Uint8Array, path: string): void {
  classNamesIn(decodeMetadata(bytes, path));
  decodeOutline(bytes, path);
  printModel(decodeModel(bytes, path));
}

/** The lock of a process that has ended. */
async function lockOfDead(): Promise<Uint8Array> {
  // process numbers end at 2^22 (proc(5), pid_max)
  const holder = { ...(await thisProcess()), id: "x", pid: 4_194_305, since: new Date(0).toISOString() };
  return new TextEncoder().encode(JSON.stringify(holder));
}

async function takeLock(path: string): Promise<void> {
  const lock = await FileLock.acquire(path, "the folder");
  await lock.release();
}

async function readWheel(path: string): Promise<void> {
  const wheel = await Wheel.open(path);
  try {
    await wheel.read("onnxruntime/capi/x.so");
  } finally {
    await wheel.close();
  }
}

/** A wheel of one library and its record. */
function wheelOf(name: string, content: Uint8Array): Uint8Array {
  const digest = createHash("sha256").update(content).digest("base64url");
  const record = Buffer.from(`${name},sha256=${digest},${content.length}\n`);
  return new Uint8Array(zipOf({ [name]: content, "x.dist-info/RECORD": record }));
}
