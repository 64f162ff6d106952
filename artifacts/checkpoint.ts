import { Builder, type Offset } from "flatbuffers";
import { UserError } from "../graph-builder/errors.ts";
import { type NumericType, Tensor, type TensorData } from "../graph-builder/tensor.ts";
import { expectFittingCheckpoint } from "./checkpoint-size.ts";
import { xxh32 } from "./checksum.ts";
import { FlatBufferError, FlatBufferTable } from "./flatbuffer.ts";
import { expectBytes, expectCheckpoint } from "./given-values.ts";
import { CHECKPOINT_IDENTIFIER } from "./is-checkpoint.ts";

const VERSION = 2;
const GROUP = "group0";

/**
 * Our files store "XH32" and the XXH32 checksum of the rest of the file between the identifier and the root
 * table. FlatBuffers readers skip these bytes. ONNX Runtime does not copy them into the files that it saves.
 */
const CHECKSUM_MARK = 0x32334858;
const HEADER_SIZE = 16;

/** The element types a checkpoint may hold, with their number in ONNX's TensorProto.DataType. */
const elementTypes = new Map<NumericType, { code: number; array: ArrayOf }>([
  ["float", { code: 1, array: Float32Array }],
  ["uint8", { code: 2, array: Uint8Array }],
  ["int8", { code: 3, array: Int8Array }],
  ["uint16", { code: 4, array: Uint16Array }],
  ["int16", { code: 5, array: Int16Array }],
  ["int32", { code: 6, array: Int32Array }],
  ["int64", { code: 7, array: BigInt64Array }],
  ["bool", { code: 9, array: Uint8Array }],
  ["double", { code: 11, array: Float64Array }],
  ["uint32", { code: 12, array: Uint32Array }],
  ["uint64", { code: 13, array: BigUint64Array }],
]);

interface ArrayOf {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): TensorData;
}

/** The optimizer's state between two steps. */
export interface OptimizerState {
  /** How many updates have been made. */
  step: number;
  /** Kept as float32. */
  initialLearningRate: number;
  /**
   * The moments by parameter, each of the parameter's shape: momentum0, and momentum1 (AdamW's second
   * moment). ONNX Runtime requires an entry for every trainable parameter, or no entry at all.
   */
  momenta: Map<string, Tensor[]>;
}

/** A value of the property bag: a bigint is stored as int64, a number as float32, a string as UTF-8. */
export type Property = bigint | number | string;

/** The state of a training: what ONNX Runtime calls a CheckpointState. */
export interface Checkpoint {
  /** ONNX Runtime's requires_grad_params. */
  trainable: Map<string, Tensor>;
  /** ONNX Runtime's frozen_params: running statistics and every other tensor without a gradient. */
  frozen: Map<string, Tensor>;
  optimizer?: OptimizerState | undefined;
  properties: Map<string, Property>;
}

/**
 * The bytes of ONNX Runtime's checkpoint file (FlatBuffer, version 2, identifier ODTC): equal checkpoints
 * give equal bytes, in any order of their maps. Throws UserError where they would be 2 GB or more, and
 * RangeError for float16, which the format lacks, and for a step that is no integer.
 * https://github.com/microsoft/onnxruntime/blob/v1.19.2/onnxruntime/core/flatbuffers/schema/ort_training_checkpoint.fbs
 */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  expectCheckpoint("encodeCheckpoint", checkpoint);
  const size = sizeEstimate(checkpoint);
  expectFittingCheckpoint(size);
  const builder = new Builder(size);
  const moduleState = writeModuleState(builder, checkpoint);
  const groups = writeOptimizerGroups(builder, checkpoint.optimizer);
  const properties = writeProperties(builder, checkpoint.properties);
  builder.startObject(4);
  builder.addFieldInt32(0, VERSION, 0);
  builder.addFieldOffset(1, moduleState, 0);
  builder.addFieldOffset(2, groups, 0);
  builder.addFieldOffset(3, properties, 0);
  const root = builder.endObject();
  builder.prep(8, 8);
  builder.addInt32(0);
  builder.addInt32(CHECKSUM_MARK);
  builder.finish(root, CHECKPOINT_IDENTIFIER);
  const bytes = builder.asUint8Array();
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(12, checksum(bytes), true);
  return bytes;
}

/**
 * Reads a checkpoint of ours or of ONNX Runtime's. Tensors are views of `bytes` wherever alignment allows.
 * Throws UserError, naming `where`, for bytes that are damaged, cut short or no checkpoint.
 */
export function decodeCheckpoint(bytes: Uint8Array, where = "checkpoint"): Checkpoint {
  expectBytes("checkpoint", where, bytes);
  try {
    return readCheckpoint(bytes);
  } catch (error) {
    if (!(error instanceof FlatBufferError)) throw error;
    const reason = error.message.slice(0, 300).replace(/\p{Cc}+/gu, " ");
    throw new UserError(
      `${where} is not a sound ONNX Runtime checkpoint (${reason}); use another copy of it.`,
      { code: "checkpoint-damaged", details: { where, reason } },
    );
  }
}

function checksum(bytes: Uint8Array): number {
  const rootOffset = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return xxh32(bytes.subarray(HEADER_SIZE), rootOffset);
}

/**
 * An estimate of the file's size, so that the builder rarely grows its buffer. It is a multiple of 8 to keep
 * the bytes aligned.
 */
function sizeEstimate({ trainable, frozen, optimizer }: Checkpoint): number {
  const momenta = [...(optimizer?.momenta.values() ?? [])].flat();
  let size = 8192;
  for (const { data } of [...trainable.values(), ...frozen.values(), ...momenta]) {
    size += data.byteLength + 512;
  }
  return 8 * Math.ceil(size / 8);
}

function writeModuleState(builder: Builder, { trainable, frozen }: Checkpoint): Offset {
  const trainableOffset = writeTensors(builder, sorted(trainable));
  const frozenOffset = writeTensors(builder, sorted(frozen));
  builder.startObject(4);
  builder.addFieldOffset(0, trainableOffset, 0);
  builder.addFieldOffset(1, frozenOffset, 0);
  return builder.endObject();
}

function writeOptimizerGroups(builder: Builder, optimizer: OptimizerState | undefined): Offset {
  if (optimizer === undefined) return 0;
  const states = sorted(optimizer.momenta).map(([parameter, momenta]) => {
    const tensors = writeTensors(
      builder,
      momenta.map((tensor, i) => [`momentum${i}`, tensor]),
    );
    return writeNamed(builder, parameter, 2, () => builder.addFieldOffset(1, tensors, 0));
  });
  const statesOffset = writeOffsets(builder, states);
  const group = writeNamed(builder, GROUP, 4, () => {
    builder.addFieldInt64(1, BigInt(optimizer.step), 0n);
    builder.addFieldFloat32(2, optimizer.initialLearningRate, 0);
    builder.addFieldOffset(3, statesOffset, 0);
  });
  return writeOffsets(builder, [group]);
}

function writeProperties(builder: Builder, properties: Map<string, Property>): Offset {
  const [ints, floats, strings]: [Offset[], Offset[], Offset[]] = [[], [], []];
  for (const [name, value] of sorted(properties)) {
    if (typeof value === "bigint") {
      ints.push(writeNamed(builder, name, 2, () => builder.addFieldInt64(1, value, 0n)));
    } else if (typeof value === "number") {
      floats.push(writeNamed(builder, name, 2, () => builder.addFieldFloat32(1, value, 0)));
    } else {
      const text = builder.createString(value);
      strings.push(writeNamed(builder, name, 2, () => builder.addFieldOffset(1, text, 0)));
    }
  }
  const vectors = [ints, floats, strings].map((offsets) => writeOffsets(builder, offsets));
  builder.startObject(3);
  for (const [slot, vector] of vectors.entries()) builder.addFieldOffset(slot, vector, 0);
  return builder.endObject();
}

function writeTensors(builder: Builder, tensors: readonly (readonly [string, Tensor])[]): Offset {
  return writeOffsets(
    builder,
    tensors.map(([name, tensor]) => writeTensor(builder, name, tensor)),
  );
}

function writeTensor(builder: Builder, name: string, { elemType, dims, data }: Tensor): Offset {
  const type = elementTypes.get(elemType);
  if (type === undefined) throw new RangeError(`a checkpoint cannot hold ${name}: it is ${elemType}`);
  const rawData = builder.createByteVector(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  builder.startVector(8, dims.length, 8);
  for (const dim of dims.toReversed()) builder.addInt64(BigInt(dim));
  const dimsOffset = builder.endVector();
  return writeNamed(builder, name, 7, () => {
    builder.addFieldOffset(2, dimsOffset, 0);
    builder.addFieldInt32(3, type.code, 0);
    builder.addFieldOffset(4, rawData, 0);
  });
}

/** Writes a table whose first field is its name. */
function writeNamed(builder: Builder, name: string, fields: number, addFields: () => void): Offset {
  const nameOffset = builder.createString(name);
  builder.startObject(fields);
  builder.addFieldOffset(0, nameOffset, 0);
  addFields();
  return builder.endObject();
}

function writeOffsets(builder: Builder, offsets: readonly Offset[]): Offset {
  builder.startVector(4, offsets.length, 4);
  for (const offset of offsets.toReversed()) builder.addOffset(offset);
  return builder.endVector();
}

function sorted<T>(map: ReadonlyMap<string, T>): (readonly [string, T])[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function readCheckpoint(bytes: Uint8Array): Checkpoint {
  const root = FlatBufferTable.root(bytes, CHECKPOINT_IDENTIFIER);
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const marked = bytes.length >= HEADER_SIZE && header.getUint32(8, true) === CHECKSUM_MARK;
  if (marked && header.getUint32(12, true) !== checksum(bytes)) {
    throw new FlatBufferError("its bytes do not match their checksum");
  }
  const version = root.int32(0);
  if (version !== VERSION) throw new FlatBufferError(`its version is ${version}, not ${VERSION}`);
  const moduleState = root.table(1);
  if (moduleState === undefined || !moduleState.has(0) || !moduleState.has(1)) {
    throw new FlatBufferError("it holds no parameters");
  }
  if (moduleState.bool(2)) throw new FlatBufferError("it is a nominal checkpoint, without parameter values");
  if (moduleState.bool(3)) throw new FlatBufferError("its parameters are in a separate .data file");
  const trainable = readTensors(moduleState, 0);
  const frozen = readTensors(moduleState, 1);
  const both = [...trainable.keys()].find((name) => frozen.has(name));
  if (both !== undefined) throw new FlatBufferError(`${both} is both trainable and frozen`);
  return { trainable, frozen, optimizer: readOptimizer(root), properties: readProperties(root.table(3)) };
}

function readOptimizer(root: FlatBufferTable): OptimizerState | undefined {
  const groups = uniqueMap(root.tables(2), (group) => group);
  const group = groups.get(GROUP);
  if (groups.size !== (group === undefined ? 0 : 1)) {
    throw new FlatBufferError(`it has optimizer groups other than ${GROUP}`);
  }
  if (group === undefined) return undefined;
  const step = Number(group.int64(1));
  if (step < 0 || !Number.isSafeInteger(step)) throw new FlatBufferError(`its optimizer step is ${step}`);
  return {
    step,
    initialLearningRate: group.float32(2),
    momenta: uniqueMap(group.tables(3), (state, parameter) => readMomenta(state, parameter)),
  };
}

function readMomenta(state: FlatBufferTable, parameter: string): Tensor[] {
  const tensors = readTensors(state, 1);
  return Array.from({ length: tensors.size }, (_, i) => {
    const tensor = tensors.get(`momentum${i}`);
    if (tensor === undefined) throw new FlatBufferError(`momentum${i} of ${parameter} is missing`);
    return tensor;
  });
}

function readProperties(bag: FlatBufferTable | undefined): Map<string, Property> {
  if (bag === undefined) return new Map();
  const ints = uniqueMap<Property>(bag.tables(0), (property) => property.int64(1));
  const floats = uniqueMap<Property>(bag.tables(1), (property) => property.float32(1));
  const strings = uniqueMap<Property>(bag.tables(2), (property) => property.string(1));
  return new Map([...ints, ...floats, ...strings]);
}

function readTensors(table: FlatBufferTable, slot: number): Map<string, Tensor> {
  return uniqueMap(table.tables(slot), readTensor);
}

function readTensor(table: FlatBufferTable, name: string): Tensor {
  const code = table.int32(3);
  const [elemType, type] = [...elementTypes].find(([, candidate]) => candidate.code === code) ?? [];
  if (elemType === undefined || type === undefined) {
    throw new FlatBufferError(`${name} has the unknown element type ${code}`);
  }
  const dims = table.int64s(2).map(Number);
  const bytes = table.bytes(4);
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (dims.some((dim) => dim < 0) || count * type.array.BYTES_PER_ELEMENT !== bytes.length) {
    throw new FlatBufferError(
      `${name} is ${elemType}[${dims.join(", ")}] but has ${bytes.length} bytes of data`,
    );
  }
  const aligned = bytes.byteOffset % type.array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new Tensor(elemType, dims, new type.array(aligned.buffer as ArrayBuffer, aligned.byteOffset, count));
}

/** The values of tables by name, which is the first field. Throws FlatBufferError where two have one name. */
function uniqueMap<T>(
  tables: Iterable<FlatBufferTable>,
  read: (table: FlatBufferTable, name: string) => T,
): Map<string, T> {
  const map = new Map<string, T>();
  for (const table of tables) {
    const name = table.string(0);
    if (map.has(name)) throw new FlatBufferError(`${name} is there twice`);
    map.set(name, read(table, name));
  }
  return map;
}
