import { appendFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createBuilder, Graph } from "../../../graph-builder/index.ts";
import { encodeEvent } from "../../../runtime/node/tensorboard/event.ts";
import { EventFile } from "../../../runtime/node/tensorboard/event-file.ts";
import { graphDefOf } from "../../../runtime/node/tensorboard/graph-def.ts";
import { crc32c, decodeRecords, encodeRecord } from "../../../runtime/node/tensorboard/tfrecord.ts";
import { eventsIn, eventsOfFile } from "../../support/event-files.ts";
import { temporaryFolder } from "../../support/shake.ts";

const folder = temporaryFolder();
const bytesOf = (text: string) => new TextEncoder().encode(text);

test("the checksum is CRC32C", () => {
  // RFC 3720, B.4, and the check value of the CRC catalogue
  expect(crc32c(bytesOf("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
});

test("a record is the one that TensorFlow writes", () => {
  // tf.io.TFRecordWriter of b"x": the length, its masked checksum, the byte, its masked checksum
  const record = encodeRecord(bytesOf("x"));
  expect(Buffer.from(record).toString("hex")).toBe("0100000000000000" + "0175de41" + "78" + "503daa61");
  expect([...decodeRecords(record)].map((each) => new TextDecoder().decode(each))).toEqual(["x"]);
});

test("records are read up to one that was cut or damaged", () => {
  const whole = Buffer.concat(["one", "two", "three"].map((text) => encodeRecord(bytesOf(text))));
  const texts = (file: Uint8Array) => [...decodeRecords(file)].map((each) => new TextDecoder().decode(each));
  expect(texts(whole)).toEqual(["one", "two", "three"]);
  for (let length = whole.length - 1; length > whole.length - 21; length--)
    expect(texts(whole.subarray(0, length)), String(length)).toEqual(["one", "two"]);
  for (let place = 19; place < 38; place++) {
    const damaged = Buffer.from(whole);
    damaged[place] = (damaged[place] ?? 0) ^ 4;
    expect(texts(damaged), String(place)).toEqual(["one"]);
  }
});

test("a file begins with its version, and its events have their step, time and value", async () => {
  const path = join(folder, "new");
  const file = await EventFile.start(path, 0);
  await file.append({ type: "scalar", tag: "loss/train", value: 0.25 }, 7);
  await file.append({ type: "scalar", tag: "loss/train", value: Number.NaN }, 8);
  const image = { png: Uint8Array.of(1, 2, 3), height: 4, width: 5 };
  await file.append({ type: "image", tag: "curves", image }, 8);
  expect(readdirSync(path)).toEqual([expect.stringMatching(/^events\.out\.tfevents\.\d{10}\.shake$/)]);
  const events = eventsIn(path);
  expect(events[0]).toMatchObject({ step: 0, file_version: "brain.Event:2" });
  expect(events[1]).toMatchObject({
    step: 7,
    summary: { value: [{ tag: "loss/train", simple_value: 0.25 }] },
  });
  expect(events[2]?.summary?.value[0]?.simple_value).toBeNaN();
  expect(events[3]?.summary?.value[0]).toMatchObject({
    tag: "curves",
    image: { height: 4, width: 5, encoded_image_string: "AQID" },
  });
  for (const { wall_time } of events) expect(Math.abs(wall_time - Date.now() / 1000)).toBeLessThan(60);
});

test("a session that goes on removes what is behind its step, cut records and old images", async () => {
  const path = join(folder, "resumed");
  const first = await EventFile.start(path, 0);
  expect(first.hasGraph).toBe(false);
  await first.append({ type: "graph", graphDef: Uint8Array.of() }, 0);
  for (const step of [10, 20, 30]) await first.append({ type: "scalar", tag: "a", value: step }, step);
  await first.append(
    { type: "image", tag: "curves", image: { png: Uint8Array.of(), height: 1, width: 1 } },
    20,
  );
  appendFileSync(first.path, encodeRecord(bytesOf("cut")).subarray(0, 9));
  const second = await EventFile.start(path, 20);
  expect(second.hasGraph).toBe(true);
  await second.append({ type: "scalar", tag: "a", value: 31 }, 30);
  const scalars = eventsIn(path).flatMap(
    ({ step, summary }) => summary?.value.map((each) => [step, each.simple_value]) ?? [],
  );
  expect(scalars).toEqual([
    [10, 10],
    [20, 20],
    [30, 31],
  ]);
  // TensorBoard forgets what it has read of this step and later ones
  expect(eventsOfFile(second.path)[1]).toMatchObject({ step: 21, session_log: { status: "START" } });
  const before = readFileSync(first.path);
  await EventFile.start(path, 30);
  expect(readFileSync(first.path).equals(before)).toBe(true);
});

test("the file of a session that goes on is behind the others, also where the clock was set back", async () => {
  const path = join(folder, "clock");
  const first = await EventFile.start(path, 0);
  renameSync(first.path, join(path, "events.out.tfevents.4000000000.shake"));
  const second = await EventFile.start(path, 0);
  expect(second.path).toBe(join(path, "events.out.tfevents.4000000001.shake"));
});

test("a graph has a node for each node, input and constant, with scopes, inputs and shapes", () => {
  const g = createBuilder(new Graph("net"));
  const images = g.input("images", "float", ["batch", 4]);
  const weight = g.input("fc.weight", "float", [4, 6]);
  const [left, right] = g.scope("body", () =>
    g.Split(g.MatMul(images, weight), g.int64([2, 4]), { axis: 1 }),
  );
  for (const [name, part] of Object.entries({ left, right })) if (part) g.output(g.Relu(part), name);
  const path = join(folder, "graph");
  writeFileSync(path, encodeRecord(encodeEvent({ type: "graph", graphDef: graphDefOf(g.graph) }, 0, 1)));
  const nodes = eventsOfFile(path)[0]?.graph_def?.node.map(
    ({ name, op, input }) => `${name} ${op}(${input.join()})`,
  );
  expect(nodes).toEqual([
    "images Placeholder()",
    "fc/weight Placeholder()",
    "Const Const()",
    "body/MatMul_0 MatMul(images,fc/weight)",
    "body/Split_0 Split(body/MatMul_0,Const)",
    "Relu_0 Relu(body/Split_0)",
    "Relu_1 Relu(body/Split_0:1)",
  ]);
  const shapes = eventsOfFile(path)[0]?.graph_def?.node.map(({ attr }) =>
    attr["_output_shapes"]?.list.shape.map(({ dim }) => dim.map(({ size }) => Number(size))),
  );
  expect(shapes).toEqual([
    [[-1, 4]],
    [[4, 6]],
    [[2]],
    [[-1, 6]],
    [
      [-1, 2],
      [-1, 4],
    ],
    [[-1, 2]],
    [[-1, 4]],
  ]);
});
