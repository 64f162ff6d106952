import protobuf, { type Reader, type Writer } from "protobufjs/minimal.js";

/**
 * What an event file says, without its time and step. `file` opens a file; `start` says that a session goes
 * on after the step before, so that TensorBoard forgets what it had read of this step and later ones.
 */
export type EventContent =
  | { readonly type: "file" }
  | { readonly type: "start" }
  | { readonly type: "scalar"; readonly tag: string; readonly value: number }
  | { readonly type: "image"; readonly tag: string; readonly image: EncodedImage }
  | { readonly type: "graph"; readonly graphDef: Uint8Array };

/** A PNG, and its size in pixels. */
export interface EncodedImage {
  readonly png: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** What is read of an event again: its step and kind. */
export interface EventOutline {
  readonly step: number;
  readonly isImage: boolean;
  readonly isGraph: boolean;
}

const LENGTH = 2;

/** The key of a field: its number and the wire type of bytes. */
function lengthKey(field: number): number {
  return (field << 3) | LENGTH;
}

// the numbers of the fields in tensorflow/core/util/event.proto and framework/summary.proto
const eventFields = { step: 2, fileVersion: 3, graphDef: 4, summary: 5, sessionLog: 7 } as const;
const valueFields = { tag: 1, simpleValue: 2, image: 4 } as const;
const SUMMARY_VALUE = 1;
const COLOURS = 3;

/** An Event of TensorFlow as protobuf. The time is in seconds since 1970. */
export function encodeEvent(content: EventContent, step: number, time: number): Uint8Array {
  const w = protobuf.Writer.create();
  w.uint32(9).double(time);
  if (step !== 0) w.uint32(eventFields.step << 3).int64(step);
  switch (content.type) {
    case "file":
      w.uint32(lengthKey(eventFields.fileVersion)).string("brain.Event:2");
      break;
    case "start":
      // SessionLog.status START
      w.uint32(lengthKey(eventFields.sessionLog)).fork().uint32(8).int32(1).ldelim();
      break;
    case "graph":
      w.uint32(lengthKey(eventFields.graphDef)).bytes(content.graphDef);
      break;
    default:
      w.uint32(lengthKey(eventFields.summary)).fork();
      w.uint32(lengthKey(SUMMARY_VALUE)).fork();
      writeValue(w, content);
      w.ldelim().ldelim();
  }
  return w.finish();
}

function writeValue(w: Writer, content: Extract<EventContent, { readonly tag: string }>): void {
  w.uint32(lengthKey(valueFields.tag)).string(content.tag);
  if (content.type === "scalar") {
    w.uint32((valueFields.simpleValue << 3) | 5).float(content.value);
    return;
  }
  const { png, height, width } = content.image;
  w.uint32(lengthKey(valueFields.image)).fork();
  w.uint32(8).int32(height).uint32(16).int32(width).uint32(24).int32(COLOURS);
  w.uint32(lengthKey(4)).bytes(png).ldelim();
}

/** The outline of an Event. Throws where it is no protobuf. */
export function decodeOutline(bytes: Uint8Array): EventOutline {
  const outline = { step: 0, isImage: false, isGraph: false };
  const r = protobuf.Reader.create(bytes);
  forEachField(r, r.len, (field) => {
    if (field === eventFields.step) outline.step = Number(r.int64());
    else if (field === eventFields.summary) outline.isImage = hasImage(r, r.uint32() + r.pos);
    else {
      if (field === eventFields.graphDef) outline.isGraph = true;
      return false;
    }
    return true;
  });
  return outline;
}

function hasImage(r: Reader, end: number): boolean {
  let found = false;
  forEachField(r, end, (field) => {
    if (field !== SUMMARY_VALUE) return false;
    const valueEnd = r.uint32() + r.pos;
    forEachField(r, valueEnd, (inner) => {
      if (inner === valueFields.image) found = true;
      return false;
    });
    return true;
  });
  return found;
}

/** Calls `read` with the number of each field up to a place; a field that it does not read is skipped. */
function forEachField(r: Reader, end: number, read: (field: number) => boolean): void {
  while (r.pos < end) {
    const key = r.uint32();
    if (!read(key >>> 3)) r.skipType(key & 7);
  }
}
