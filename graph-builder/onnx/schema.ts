/**
 * The messages of ONNX IR version 14 (onnx/onnx onnx/onnx.in.proto): the number and the proto2 type of every
 * field. Generated code, such as that of the package onnx-proto for ONNX 1.10.2, cannot be extended, writes
 * repeated numbers packed, and drops unknown fields.
 */

/** The kinds of attribute that are read and written, by their numbers (AttributeProto.AttributeType). */
export const AttributeType = {
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
  SPARSE_TENSOR: 11,
} as const;

/** The scalar types of proto2 that ONNX uses; an enumeration is an int32. */
export type Scalar = "string" | "bytes" | "int32" | "int64" | "uint64" | "float" | "double";

/** A field of a message. Repeated numbers are written one by one unless they are packed. */
export interface Field {
  readonly id: number;
  /** A scalar, or the name of a message. */
  readonly type: string;
  readonly repeated?: true;
  readonly packed?: true;
}

const one = <const I extends number, const T extends string>(id: I, type: T) => ({ id, type }) as const;
const many = <const I extends number, const T extends string>(id: I, type: T) =>
  ({ id, type, repeated: true }) as const;
const packed = <const I extends number, const T extends Scalar>(id: I, type: T) =>
  ({ id, type, repeated: true, packed: true }) as const;

/** The messages by name, their fields in the order in which they are written. */
export const schema = {
  AttributeProto: {
    name: one(1, "string"),
    f: one(2, "float"),
    i: one(3, "int64"),
    s: one(4, "bytes"),
    t: one(5, "TensorProto"),
    g: one(6, "GraphProto"),
    strings: many(9, "bytes"),
    tensors: many(10, "TensorProto"),
    graphs: many(11, "GraphProto"),
    docString: one(13, "string"),
    tp: one(14, "TypeProto"),
    typeProtos: many(15, "TypeProto"),
    type: one(20, "int32"),
    refAttrName: one(21, "string"),
    sparseTensor: one(22, "SparseTensorProto"),
    sparseTensors: many(23, "SparseTensorProto"),
    floats: many(7, "float"),
    ints: many(8, "int64"),
  },
  ValueInfoProto: {
    name: one(1, "string"),
    type: one(2, "TypeProto"),
    docString: one(3, "string"),
    metadataProps: many(4, "StringStringEntryProto"),
  },
  NodeProto: {
    input: many(1, "string"),
    output: many(2, "string"),
    name: one(3, "string"),
    opType: one(4, "string"),
    attribute: many(5, "AttributeProto"),
    docString: one(6, "string"),
    domain: one(7, "string"),
    overload: one(8, "string"),
    metadataProps: many(9, "StringStringEntryProto"),
    deviceConfigurations: many(10, "NodeDeviceConfigurationProto"),
  },
  IntIntListEntryProto: { key: one(1, "int64"), value: many(2, "int64") },
  NodeDeviceConfigurationProto: {
    configurationId: one(1, "string"),
    shardingSpec: many(2, "ShardingSpecProto"),
    pipelineStage: one(3, "int32"),
  },
  ShardingSpecProto: {
    tensorName: one(1, "string"),
    device: many(2, "int64"),
    indexToDeviceGroupMap: many(3, "IntIntListEntryProto"),
    shardedDim: many(4, "ShardedDimProto"),
  },
  ShardedDimProto: { axis: one(1, "int64"), simpleSharding: many(2, "SimpleShardedDimProto") },
  SimpleShardedDimProto: {
    dimValue: one(1, "int64"),
    dimParam: one(2, "string"),
    numShards: one(3, "int64"),
  },
  TrainingInfoProto: {
    initialization: one(1, "GraphProto"),
    algorithm: one(2, "GraphProto"),
    initializationBinding: many(3, "StringStringEntryProto"),
    updateBinding: many(4, "StringStringEntryProto"),
  },
  ModelProto: {
    irVersion: one(1, "int64"),
    producerName: one(2, "string"),
    producerVersion: one(3, "string"),
    domain: one(4, "string"),
    modelVersion: one(5, "int64"),
    docString: one(6, "string"),
    graph: one(7, "GraphProto"),
    opsetImport: many(8, "OperatorSetIdProto"),
    metadataProps: many(14, "StringStringEntryProto"),
    trainingInfo: many(20, "TrainingInfoProto"),
    functions: many(25, "FunctionProto"),
    configuration: many(26, "DeviceConfigurationProto"),
  },
  DeviceConfigurationProto: {
    name: one(1, "string"),
    numDevices: one(2, "int32"),
    device: many(3, "string"),
  },
  StringStringEntryProto: { key: one(1, "string"), value: one(2, "string") },
  TensorAnnotation: {
    tensorName: one(1, "string"),
    quantParameterTensorNames: many(2, "StringStringEntryProto"),
  },
  GraphProto: {
    node: many(1, "NodeProto"),
    name: one(2, "string"),
    initializer: many(5, "TensorProto"),
    docString: one(10, "string"),
    input: many(11, "ValueInfoProto"),
    output: many(12, "ValueInfoProto"),
    valueInfo: many(13, "ValueInfoProto"),
    quantizationAnnotation: many(14, "TensorAnnotation"),
    sparseInitializer: many(15, "SparseTensorProto"),
    metadataProps: many(16, "StringStringEntryProto"),
  },
  TensorProto: {
    dataType: one(2, "int32"),
    segment: one(3, "Segment"),
    floatData: packed(4, "float"),
    int32Data: packed(5, "int32"),
    stringData: many(6, "bytes"),
    int64Data: packed(7, "int64"),
    name: one(8, "string"),
    rawData: one(9, "bytes"),
    doubleData: packed(10, "double"),
    uint64Data: packed(11, "uint64"),
    docString: one(12, "string"),
    externalData: many(13, "StringStringEntryProto"),
    dataLocation: one(14, "int32"),
    metadataProps: many(16, "StringStringEntryProto"),
    dims: many(1, "int64"),
  },
  Segment: { begin: one(1, "int64"), end: one(2, "int64") },
  SparseTensorProto: {
    values: one(1, "TensorProto"),
    indices: one(2, "TensorProto"),
    dims: many(3, "int64"),
  },
  TensorShapeProto: { dim: many(1, "Dimension") },
  Dimension: { dimValue: one(1, "int64"), dimParam: one(2, "string"), denotation: one(3, "string") },
  TypeProto: {
    tensorType: one(1, "TensorType"),
    sequenceType: one(4, "SequenceType"),
    mapType: one(5, "MapType"),
    denotation: one(6, "string"),
    opaqueType: one(7, "OpaqueType"),
    sparseTensorType: one(8, "TensorType"),
    optionalType: one(9, "SequenceType"),
  },
  TensorType: { elemType: one(1, "int32"), shape: one(2, "TensorShapeProto") },
  SequenceType: { elemType: one(1, "TypeProto") },
  MapType: { keyType: one(1, "int32"), valueType: one(2, "TypeProto") },
  OpaqueType: { domain: one(1, "string"), name: one(2, "string") },
  OperatorSetIdProto: { domain: one(1, "string"), version: one(2, "int64") },
  FunctionProto: {
    name: one(1, "string"),
    input: many(4, "string"),
    output: many(5, "string"),
    attribute: many(6, "string"),
    node: many(7, "NodeProto"),
    docString: one(8, "string"),
    opsetImport: many(9, "OperatorSetIdProto"),
    domain: one(10, "string"),
    attributeProto: many(11, "AttributeProto"),
    valueInfo: many(12, "ValueInfoProto"),
    overload: one(13, "string"),
    metadataProps: many(14, "StringStringEntryProto"),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Field>>>>;

export type Schema = typeof schema;
export type MessageName = keyof Schema;

/** The JavaScript type of each scalar; a 64-bit integer is a number where that is exact, else a bigint. */
export interface ScalarTypes {
  string: string;
  bytes: Uint8Array;
  int32: number;
  int64: number | bigint;
  uint64: number | bigint;
  float: number;
  double: number;
}

/** The JavaScript type of a scalar or a message. */
export type TypeOf<T> = T extends Scalar ? ScalarTypes[T] : T extends MessageName ? Message<T> : never;
/** The JavaScript type of a field: a list where it is repeated. */
export type FieldValue<F extends Field> = F extends { readonly repeated: true }
  ? readonly TypeOf<F["type"]>[]
  : TypeOf<F["type"]>;

/** A field that the schema does not have: its key (number and wire type) and its unchanged value. */
export interface UnknownField {
  readonly key: number;
  readonly value: number | bigint | Uint8Array;
}

/** An ONNX message as an object. A field that a file leaves out is undefined. */
export type Message<K extends MessageName> = {
  readonly [F in keyof Schema[K]]?: Schema[K][F] extends Field ? FieldValue<Schema[K][F]> | undefined : never;
} & { readonly unknownFields?: readonly UnknownField[] | undefined };
