// rivals.py copies this into a folder with jax-js: node oracle.mjs FOLDER
// prints the files of the models whose gradients by jax-js agree with ours, as JSON

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultDevice, grad, init, numpy as np } from "@jax-js/jax";
import { ONNXModel } from "@jax-js/onnx";

const TOLERANCE = 1e-4;
const [folder = "."] = process.argv.slice(2);
// jax-js asks for WebGPU, which Node has not
globalThis.navigator ??= {};
await init();
defaultDevice("wasm");

const arrays = { bool: Uint8Array, float32: Float32Array, int32: Int32Array, int64: BigInt64Array };
const types = { bool: np.bool, float32: np.float32, int32: np.int32, int64: np.int32 };

function valuesOf({ type, data }) {
  return Array.from(new arrays[type](new Uint8Array(Buffer.from(data, "base64")).buffer), Number);
}

function tensor(described) {
  const { type, dims } = described;
  const values = valuesOf(described);
  return np.array(type === "bool" ? values.map(Boolean) : values, { dtype: types[type], shape: dims });
}

async function agrees({ file, names, jax, seeds, gradients }) {
  const bytes = new Uint8Array(readFileSync(join(folder, `jax-${file}`)));
  for (const [target, ours] of Object.entries(gradients)) {
    const loss = (x) => {
      const given = names.map((name) => [name, name === target ? x : tensor(jax[name])]);
      const outputs = new ONNXModel(bytes).run(Object.fromEntries(given));
      const terms = Object.entries(seeds).map(([name, seed]) =>
        np.sum(np.multiply(outputs[name], tensor(seed))),
      );
      return terms.reduce((sum, term) => np.add(sum, term));
    };
    const theirs = grad(loss)(tensor(jax[target]));
    if (theirs.shape.join() !== ours.dims.join()) return false;
    const [expected, found] = [valuesOf(ours), await theirs.data()];
    const size = Math.max(1, ...expected.map(Math.abs));
    if (!expected.every((value, i) => Math.abs(value - found[i]) / size <= TOLERANCE)) return false;
  }
  return true;
}

const agreeing = [];
for (const each of JSON.parse(readFileSync(join(folder, "jax.json"), "utf8"))) {
  try {
    if (await agrees(each)) agreeing.push(each.file);
  } catch {
    // jax-js has not the operator, or not this form of it
  }
}
process.stdout.write(JSON.stringify(agreeing));
