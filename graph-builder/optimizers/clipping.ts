import type { Builder } from "../builder.ts";
import { UserError } from "../errors.ts";
import type { Value } from "../ir.ts";

/** How gradients are limited before an optimizer step; with both, by value first. */
export interface ClippingSettings {
  /** The largest L2 norm of all gradients together (torch.nn.utils.clip_grad_norm_). */
  readonly maxNorm?: number | undefined;
  /** The largest absolute value of each element (torch.nn.utils.clip_grad_value_). */
  readonly clipValue?: number | undefined;
}

/** Whether gradients are limited at all. */
export function clips({ maxNorm, clipValue }: ClippingSettings): boolean {
  return maxNorm !== undefined || clipValue !== undefined;
}

/** Limits gradients; without settings they stay as they are. */
export function clipGradients(
  g: Builder,
  gradients: readonly Value[],
  { maxNorm, clipValue }: ClippingSettings,
): readonly Value[] {
  const limited =
    clipValue === undefined
      ? gradients
      : gradients.map((gradient) => g.Clip(gradient, g.float(-clipValue), g.float(clipValue)));
  return maxNorm === undefined ? limited : scaled(g, limited, maxNorm);
}

/**
 * Scales gradients by min(1, maxNorm / (norm + 1e-6)), with the L2 norm over all gradients together (ONNX
 * Runtime's clip_grad_norm.cc).
 */
function scaled(g: Builder, gradients: readonly Value[], maxNorm: number): Value[] {
  const squares = gradients.map((gradient) => g.ReduceSum(g.Mul(gradient, gradient), null, { keepdims: 0 }));
  const norm = g.Sqrt(g.Sum(...squares));
  const scale = g.Min(g.float(1), g.Div(g.float(maxNorm), g.Add(norm, g.float(1e-6))));
  return gradients.map((gradient) => g.Mul(gradient, scale));
}

/** Throws UserError for a limit that is no number above 0. */
export function expectClipping({ maxNorm, clipValue }: ClippingSettings): void {
  for (const [setting, value] of Object.entries({ maxNorm, clipValue })) {
    if (value === undefined || (Number.isFinite(value) && value > 0)) continue;
    throw new UserError(`${setting} is ${value}, and must be a number above 0.`, {
      code: "setting-invalid",
      details: { setting, value },
    });
  }
}
