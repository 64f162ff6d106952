// Copies the CUDA provider out of a wheel beside ONNX Runtime: unpack-provider.mjs WHEEL FOLDER
import { installProvider } from "../../dist/runtime/node/cuda/provider.js";

const [wheel = "", folder = ""] = process.argv.slice(2);
await installProvider(wheel, { version: "", folder }, (text) => console.log(text));
