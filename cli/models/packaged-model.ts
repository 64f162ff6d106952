import { fileURLToPath } from "node:url";

/** The path of the package's own network, which was trained on CIFAR-10 (docs/accuracy.md). */
export const packagedModel = fileURLToPath(new URL("../../../models/cifar10.onnx", import.meta.url));
