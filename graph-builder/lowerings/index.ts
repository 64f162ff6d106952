import { cpu } from "./cpu.ts";
import { cuda } from "./cuda.ts";
import { type Lowering, layer } from "./lower.ts";
import { nchwc } from "./nchwc.ts";
import { portable } from "./portable.ts";

/**
 * The lowerings by name: `portable` for every execution provider, `cpu` and `cuda` for what ONNX Runtime's kernels of these do faster in
 * another form.
 */
export const loweringNames = ["portable", "cpu", "cuda"] as const;
export type LoweringName = (typeof loweringNames)[number];

const onCpu = layer(portable, cpu);
const onCuda = layer(portable, cuda);

/**
 * A lowering to ai.onnx alone, but that CUDA's uses operators that only ONNX Runtime's CUDA provider has. The CPU's takes a
 * `blockSize` where its kernels have a blocked layout: then it also uses ONNX Runtime's operators over blocks of that many channels.
 */
export function loweringOf(name: LoweringName, blockSize?: number): Lowering {
  if (name === "portable") return portable;
  if (name === "cuda") return onCuda;
  return blockSize === undefined ? onCpu : layer(onCpu, nchwc(blockSize));
}
