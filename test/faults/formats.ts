import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
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
import { readJsonObject } from "../../runtime/node/run/schema.ts";
import { classNamesIn } from "../../shakenet/index.ts";
import { runConfigIn } from "../../shakenet/node/run-config.ts";

/** A kind of file, a sound one of it, and what reads it. */
export interface Format {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isText: boolean;
  /** Reads a file as the product does. */
  readonly read: (bytes: Uint8Array, path: string) => unknown;
}

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
  ];
}

function readModel(bytes: Uint8Array, path: string): void {
  classNamesIn(decodeMetadata(bytes, path));
  decodeOutline(bytes, path);
  printModel(decodeModel(bytes, path));
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
  return zipOf([
    [name, content],
    ["x.dist-info/RECORD", Buffer.from(`${name},sha256=${digest},${content.length}\n`)],
  ]);
}

/** A zip archive of deflated files (PKWARE's APPNOTE.TXT, section 4.3). */
function zipOf(files: readonly (readonly [name: string, content: Uint8Array])[]): Uint8Array {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let position = 0;
  for (const [name, content] of files) {
    const packed = deflateRawSync(content);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(content.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(position, 10);
    locals.push(local);
    centrals.push(
      Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.alloc(2), fields, rest, Buffer.from(name)]),
    );
    position += local.length;
  }
  const central = Buffer.concat(centrals);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.length, 4);
  end.writeUInt16LE(files.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(position, 12);
  return new Uint8Array(Buffer.concat([...locals, central, Buffer.from("PK\x05\x06"), end]));
}
