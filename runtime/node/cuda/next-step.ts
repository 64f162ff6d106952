import type { Need } from "../need.ts";
import { type CudaState, cudaLibraries } from "./provider.ts";

/**
 * What CUDA needs on a machine, in the order in which it is got. `shake` is how the command is started here.
 */
export function cudaNeeds({ driver, missingProviders, libraries }: CudaState, shake: string): Need[] {
  const folderOf = (name: string) => libraries.get(name);
  const missing = cudaLibraries.filter(({ file }) => folderOf(file) === undefined);
  const cuda = missing.filter(({ file }) => !file.startsWith("libcudnn"));
  const cudnn = folderOf("libcudnn.so.9");
  const fetch = `run \`${shake} install-cuda --fetch-libraries\``;
  return [
    {
      what: "NVIDIA driver",
      found: driver,
      next: "install NVIDIA's driver, 580 or newer for CUDA 13",
    },
    {
      what: "CUDA 13",
      found: cuda.length === 0 ? folderOf("libcudart.so.13") : undefined,
      next: `${fetch} (missing: ${cuda.map(({ file }) => file).join(", ")})`,
    },
    { what: "cuDNN 9", found: cudnn, next: fetch },
    {
      what: "CUDA provider of ONNX Runtime",
      found: missingProviders.length === 0 ? "beside ONNX Runtime" : undefined,
      next: `run \`${shake} install-cuda\``,
    },
  ];
}
