import type { Command, GivenOf } from "../../command.ts";

const settings = ["python", "wheel", "fetchLibraries", "config"] as const;

/** `shake install-cuda`: what `--device cuda` needs beside the npm package. */
export const installCudaCommand: Command<(typeof settings)[number]> = {
  name: "install-cuda",
  summary: "install what --device cuda needs",
  help:
    "Copies the CUDA provider of exactly the installed ONNX Runtime out of PyPI's onnxruntime-gpu, and links " +
    "CUDA's libraries beside it. It needs Linux on x64 and a Python with pip, for CUDA 13. " +
    "For CUDA 12, `node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12` fetches the provider.",
  settings,
  load: () => import("./run.ts"),
};

export type InstallCudaGiven = GivenOf<typeof installCudaCommand>;
