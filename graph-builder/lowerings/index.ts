import { cpu } from "./cpu.ts";
import { type Lowering, layer } from "./lower.ts";
import { nchwc } from "./nchwc.ts";
import { portable } from "./portable.ts";

/** The lowerings by name: `portable` for every execution provider, `cpu` for what ONNX Runtime's CPU kernels do faster in another form. */
export const loweringNames = ["portable", "cpu"] as const;
export type LoweringName = (typeof loweringNames)[number];

const onCpu = layer(portable, cpu);

/**
 * A lowering to ai.onnx alone. The CPU's takes a `blockSize` where its kernels have a blocked layout: then it also uses ONNX Runtime's
 * operators over blocks of that many channels.
 */
export function loweringOf(name: LoweringName, blockSize?: number): Lowering {
  if (name === "portable") return portable;
  return blockSize === undefined ? onCpu : layer(onCpu, nchwc(blockSize));
}
