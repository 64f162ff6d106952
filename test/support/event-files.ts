import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { z } from "zod";
import { decodeRecords } from "../../runtime/node/tensorboard/tfrecord.ts";

/** The part of TensorFlow's event.proto, summary.proto and graph.proto that our files use. */
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message Event {
    double wall_time = 1;
    int64 step = 2;
    oneof what { string file_version = 3; GraphDef graph_def = 4; Summary summary = 5; SessionLog session_log = 7; }
  }
  message SessionLog { enum Status { UNSPECIFIED = 0; START = 1; STOP = 2; } Status status = 1; }
  message Summary { repeated Value value = 1; }
  message Value { string tag = 1; oneof value { float simple_value = 2; Image image = 4; } }
  message Image { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4; }
  message GraphDef { repeated NodeDef node = 1; Versions versions = 4; }
  message Versions { int32 producer = 1; }
  message NodeDef { string name = 1; string op = 2; repeated string input = 3; map<string, AttrValue> attr = 5; }
  message AttrValue { ListValue list = 1; }
  message ListValue { repeated Shape shape = 7; }
  message Shape { repeated Dim dim = 2; bool unknown_rank = 3; }
  message Dim { int64 size = 1; }
  `,
  { keepCase: true },
);
const Event = root.lookupType("Event");

const node = z.object({
  name: z.string(),
  op: z.string(),
  input: z.array(z.string()).default([]),
  attr: z.record(
    z.string(),
    z.object({
      list: z.object({
        shape: z.array(z.object({ dim: z.array(z.object({ size: z.string() })).default([]) })).default([]),
      }),
    }),
  ),
});

const value = z.object({
  tag: z.string(),
  simple_value: z.union([z.number(), z.nan()]).optional(),
  image: z.object({ height: z.number(), width: z.number(), encoded_image_string: z.string() }).optional(),
});

const eventSchema = z.object({
  wall_time: z.number(),
  step: z.string().default("0").transform(Number),
  file_version: z.string().optional(),
  graph_def: z.object({ node: z.array(node).default([]) }).optional(),
  summary: z.object({ value: z.array(value) }).optional(),
  session_log: z.object({ status: z.string() }).optional(),
});

/** The events of a file of TensorBoard, read by the schema of TensorFlow. */
export function eventsOfFile(path: string) {
  return [...decodeRecords(readFileSync(path))].map((record) =>
    eventSchema.parse(Event.toObject(Event.decode(record), { longs: String, enums: String, bytes: String })),
  );
}

/** The events of all files in a folder, in the order of their names. */
export function eventsIn(folder: string) {
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => eventsOfFile(join(folder, name)));
}
