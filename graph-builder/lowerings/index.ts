import { cpu } from "./cpu.ts";
import { cuda } from "./cuda.ts";
import { type Lowering, layer } from "./lower.ts";
import { nchwc } from "./nchwc.ts";
import { portable } from "./portable.ts";
import { webgpu } from "./webgpu.ts";

/**
 * The names of the lowerings: `portable` suits every execution provider, `cpu`, `cuda` and `webgpu` suit
 * the kernels of ONNX Runtime's CPU, CUDA and WebGPU providers.
 */
export const loweringNames = ["portable", "cpu", "cuda", "webgpu"] as const;
export type LoweringName = (typeof loweringNames)[number];

const onCpu = layer(portable, cpu);
const onCuda = layer(portable, cuda);
const onWebGpu = layer(portable, webgpu);

/**
 * Returns a lowering to ai.onnx operators; `cuda` also uses operators that only ONNX Runtime's CUDA provider
 * has. With `blockSize`, the `cpu` lowering also uses ONNX Runtime's NCHWc operators (domain
 * com.microsoft.nchwc), which work on blocks of that many channels. The other lowerings ignore `blockSize`.
 */
export function loweringOf(name: LoweringName, blockSize?: number): Lowering {
  if (name === "portable") return portable;
  if (name === "cuda") return onCuda;
  if (name === "webgpu") return onWebGpu;
  return blockSize === undefined ? onCpu : layer(onCpu, nchwc(blockSize));
}
