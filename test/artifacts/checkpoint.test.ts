import { Builder } from "flatbuffers";
import { expect, test } from "vitest";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { floats, int64s, Tensor } from "../../graph-builder/tensor.ts";

function example(): Checkpoint {
  return {
    trainable: new Map([
      ["fc.weight", floats([0.5, -1, 2, 3, 4, Number.NaN], [2, 3])],
      ["fc.bias", floats([-0, Number.POSITIVE_INFINITY])],
    ]),
    frozen: new Map([
      ["bn.running_mean", floats([7.5])],
      ["bn.num_batches_tracked", int64s(5)],
    ]),
    optimizer: {
      step: 41,
      initialLearningRate: 0.25,
      momenta: new Map([
        ["fc.weight", [floats([1, 2, 3, 4, 5, 6], [2, 3]), floats([6, 5, 4, 3, 2, 1], [2, 3])]],
        ["fc.bias", [floats([8, 9]), floats([9, 8])]],
      ]),
    },
    properties: new Map<string, bigint | number | string>([
      ["epoch", 2n ** 40n],
      ["error", 0.125],
      ["scheme", "S-S-I, naïve 🙂"],
      ["note", ""],
    ]),
  };
}

const reversed = <T>(map: Map<string, T>) => new Map([...map].reverse());

/** The same file as ONNX Runtime would write it: without our checksum. */
function withoutChecksum(bytes: Uint8Array): Uint8Array {
  return bytes.slice().fill(0, 8, 16);
}

function flipped(bytes: Uint8Array, index: number, mask: number): Uint8Array {
  return bytes.slice().fill((bytes[index] ?? 0) ^ mask, index, index + 1);
}

/** The checkpoint, or the sentence of its UserError; any other error fails the test. */
function attempt(bytes: Uint8Array): Checkpoint | string {
  try {
    return decodeCheckpoint(bytes, "runs/a/checkpoint");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.message).toMatch(
      /^runs\/a\/checkpoint is not a sound ONNX Runtime checkpoint \(.+\); use .+\.$/,
    );
    return error.message;
  }
}

test("a checkpoint comes back as it was, checksum or not", () => {
  const bytes = encodeCheckpoint(example());
  expect(decodeCheckpoint(bytes)).toEqual(example());
  expect(decodeCheckpoint(withoutChecksum(bytes))).toEqual(example());
});

test("a checkpoint without optimizer, properties or parameters comes back as it was", () => {
  const empty: Checkpoint = { trainable: new Map(), frozen: new Map(), properties: new Map() };
  expect(decodeCheckpoint(encodeCheckpoint(empty))).toEqual(empty);
});

test("every element type of the format comes back, and float16 is refused", () => {
  const frozen = new Map([
    ["float", new Tensor("float", [2], Float32Array.of(1.5, -2))],
    ["double", new Tensor("double", [2], Float64Array.of(Math.PI, -0))],
    ["int8", new Tensor("int8", [3], Int8Array.of(-128, 0, 127))],
    ["int16", new Tensor("int16", [1], Int16Array.of(-32768))],
    ["int32", new Tensor("int32", [1, 1], Int32Array.of(-(2 ** 31)))],
    ["int64", new Tensor("int64", [], BigInt64Array.of(-(2n ** 63n)))],
    ["uint8", new Tensor("uint8", [1], Uint8Array.of(255))],
    ["uint16", new Tensor("uint16", [1], Uint16Array.of(65535))],
    ["uint32", new Tensor("uint32", [1], Uint32Array.of(2 ** 32 - 1))],
    ["uint64", new Tensor("uint64", [1], BigUint64Array.of(2n ** 64n - 1n))],
    ["bool", new Tensor("bool", [2], Uint8Array.of(0, 1))],
    ["none", new Tensor("float", [0, 4], new Float32Array())],
  ]);
  const checkpoint: Checkpoint = { trainable: new Map(), frozen, properties: new Map() };
  expect(decodeCheckpoint(encodeCheckpoint(checkpoint))).toEqual(checkpoint);
  frozen.set("half", new Tensor("float16", [1], Uint16Array.of(0x3c00)));
  expect(() => encodeCheckpoint(checkpoint)).toThrow("a checkpoint cannot hold half: it is float16");
});

test("equal checkpoints give equal bytes, whatever the order of their maps", () => {
  const { trainable, frozen, optimizer, properties } = example();
  const shuffled: Checkpoint = {
    trainable: reversed(trainable),
    frozen: reversed(frozen),
    optimizer: optimizer && { ...optimizer, momenta: reversed(optimizer.momenta) },
    properties: reversed(properties),
  };
  expect(encodeCheckpoint(shuffled)).toEqual(encodeCheckpoint(example()));
});

test("float tensors are views of the file's bytes, and copies where those are not aligned", () => {
  const bytes = encodeCheckpoint(example());
  const view = decodeCheckpoint(bytes).trainable.get("fc.weight")?.data;
  expect(view?.buffer).toBe(bytes.buffer);
  const shifted = Buffer.concat([Buffer.of(1), bytes]).subarray(1);
  expect(decodeCheckpoint(shifted)).toEqual(example());
});

test("the 26,192,922 parameters of 26 2x96d are written and read in bulk", () => {
  const trainable = new Map([
    ["all", new Tensor("float", [26_192_922], new Float32Array(26_192_922).fill(0.5))],
  ]);
  const start = performance.now();
  const bytes = encodeCheckpoint({ trainable, frozen: new Map(), properties: new Map() });
  const decoded = decodeCheckpoint(bytes);
  expect(performance.now() - start).toBeLessThan(3000);
  expect(decoded.trainable.get("all")?.data.at(-1)).toBe(0.5);
});

test("a file cut anywhere is refused", () => {
  const bytes = encodeCheckpoint(example());
  for (let length = 0; length < bytes.length; length++) {
    expect(attempt(bytes.subarray(0, length))).toBeTypeOf("string");
    attempt(withoutChecksum(bytes).subarray(0, length));
  }
});

test("a flipped bit anywhere in our file is refused, or is in the checksum's mark and does no harm", () => {
  const bytes = encodeCheckpoint(example());
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const result = attempt(flipped(bytes, bit >> 3, 1 << (bit & 7)));
    if (bit >= 64 && bit < 96) expect(result).toEqual(example());
    else expect(result).toBeTypeOf("string");
  }
});

test("a damaged byte in a file without checksum never gives more than one sentence or a checkpoint", () => {
  const bytes = withoutChecksum(encodeCheckpoint(example()));
  let refused = 0;
  for (let index = 0; index < bytes.length; index++) {
    for (const mask of [1, 0x10, 0x80, 0xff]) {
      if (typeof attempt(flipped(bytes, index, mask)) === "string") refused++;
    }
  }
  expect(refused).toBeGreaterThan(bytes.length);
});

test("random bytes behind the identifier are refused", () => {
  let state = 1;
  const random = () => {
    state = Math.imul(state, 1664525) + 1013904223;
    return state >>> 24;
  };
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: 8 + (random() & 127) }, random);
    bytes.set(new TextEncoder().encode("ODTC"), 4);
    bytes.fill(0, 1, 4);
    expect(attempt(bytes)).toBeTypeOf("string");
  }
});

test("an empty and a foreign file are refused by their identifier", () => {
  const sentence =
    "a/b is not a sound ONNX Runtime checkpoint (it does not carry the identifier ODTC); use another copy of it.";
  expect(() => decodeCheckpoint(new Uint8Array(), "a/b")).toThrow(sentence);
  expect(() => decodeCheckpoint(new TextEncoder().encode("not a checkpoint at all"), "a/b")).toThrow(
    sentence,
  );
});

test("another version, a nominal checkpoint and external data are refused by name", () => {
  const file = (version: number, flags: readonly number[]) => {
    const builder = new Builder();
    builder.startVector(4, 0, 4);
    const none = builder.endVector();
    builder.startObject(4);
    builder.addFieldOffset(0, none, 0);
    builder.addFieldOffset(1, none, 0);
    for (const flag of flags) builder.addFieldInt8(flag, 1, 0);
    const moduleState = builder.endObject();
    builder.startObject(4);
    builder.addFieldInt32(0, version, 0);
    builder.addFieldOffset(1, moduleState, 0);
    builder.finish(builder.endObject(), "ODTC");
    return builder.asUint8Array();
  };
  expect(attempt(file(2, []))).toEqual({ trainable: new Map(), frozen: new Map(), properties: new Map() });
  expect(attempt(file(3, []))).toContain("(its version is 3, not 2)");
  expect(attempt(file(2, [2]))).toContain("(it is a nominal checkpoint, without parameter values)");
  expect(attempt(file(2, [3]))).toContain("(its parameters are in a separate .data file)");
});

test("a tensor whose shape does not fit its bytes is refused by name", () => {
  const frozen = new Map([["w", new Tensor("uint8", [77], new Uint8Array(77))]]);
  const bytes = withoutChecksum(encodeCheckpoint({ trainable: new Map(), frozen, properties: new Map() }));
  const dim = new BigInt64Array(bytes.buffer).indexOf(77n);
  expect(attempt(flipped(bytes, 8 * dim, 1))).toContain("(w is uint8[76] but has 77 bytes of data)");
  expect(attempt(flipped(bytes, 8 * dim + 7, 0x80))).toContain("(w is uint8[-");
});

test("a parameter that is both trainable and frozen is refused", () => {
  const w = new Map([["w", floats([1])]]);
  const bytes = encodeCheckpoint({ trainable: w, frozen: w, properties: new Map() });
  expect(attempt(bytes)).toContain("(w is both trainable and frozen)");
});
