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

/** What tells the lowerings of this file apart. */
const identities = new WeakMap<Lowering, string>([
  [portable, "portable"],
  [onCpu, "cpu"],
  [onCuda, "cuda"],
  [onWebGpu, "webgpu"],
]);

/**
 * Returns a lowering to ai.onnx operators; `cuda` also uses operators that only ONNX Runtime's CUDA provider
 * has. With `blockSize`, the `cpu` lowering also uses ONNX Runtime's NCHWc operators (domain
 * com.microsoft.nchwc), which work on blocks of that many channels. The other lowerings ignore `blockSize`.
 */
export function loweringOf(name: LoweringName, blockSize?: number): Lowering {
  if (name === "portable") return portable;
  if (name === "cuda") return onCuda;
  if (name === "webgpu") return onWebGpu;
  if (blockSize === undefined) return onCpu;
  const blocked = layer(onCpu, nchwc(blockSize));
  identities.set(blocked, `cpu, blocks of ${blockSize}`);
  return blocked;
}

/**
 * A text that two lowerings share only where they have the same rules; undefined for a lowering that
 * `loweringOf` did not make.
 */
export function identityOf(lowering: Lowering): string | undefined {
  return identities.get(lowering);
}
