/** An IDX file of bytes. */
export function idxFile(dims: readonly number[], values: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * dims.length);
  head.writeUInt32BE(0x0800 + dims.length);
  for (const [i, dim] of dims.entries()) head.writeUInt32BE(dim, 4 + 4 * i);
  return Buffer.concat([head, values]);
}

/** MNIST's four files. Each picture has the value of its number, and labels are 0, 1, 2, ... */
export function mnistFiles(train: number, held: number): Record<string, Buffer> {
  const pictures = (count: number) =>
    Uint8Array.from({ length: count * 784 }, (_, i) => Math.floor(i / 784) % 256);
  const labels = (count: number) => Uint8Array.from({ length: count }, (_, i) => i % 10);
  return {
    "train-images-idx3-ubyte": idxFile([train, 28, 28], pictures(train)),
    "train-labels-idx1-ubyte": idxFile([train], labels(train)),
    "t10k-images-idx3-ubyte": idxFile([held, 28, 28], pictures(held)),
    "t10k-labels-idx1-ubyte": idxFile([held], labels(held)),
  };
}
