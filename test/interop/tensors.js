// tensors in JSON: { type, dims, data }, data being the bytes in base64; tensors.py is the other end

const arrays = {
  bool: Uint8Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
};

/** The tensors of a description, by their names. */
export function decodeTensors(ort, described) {
  const tensors = Object.entries(described).map(([name, { type, dims, data }]) => {
    const values = new arrays[type](new Uint8Array(Buffer.from(data, "base64")).buffer);
    return [name, new ort.Tensor(type, values, dims)];
  });
  return Object.fromEntries(tensors);
}

/** The description of tensors. */
export function encodeTensors(tensors) {
  const described = Object.entries(tensors).map(([name, { type, dims, data }]) => {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return [name, { type, dims, data: bytes.toString("base64") }];
  });
  return Object.fromEntries(described);
}
