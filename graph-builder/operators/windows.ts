import { at } from "../at.ts";
import { ceilQuotientOf, type Dim, differenceOf, productOf, sumOf } from "../dims.ts";
import type { Shape } from "../types.ts";
import { refuse, unsupported } from "./inference.ts";

/**
 * A sliding window over the spatial axes, as Conv and the pools declare it; every list has one entry an axis,
 * `pads` two.
 */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

/**
 * Completes window attributes; refuses auto_pad, which ONNX deprecates, and lists that are not of the
 * kernel's rank.
 */
export function windowOf<Kernel extends Shape>(
  kernel: Kernel,
  attributes: {
    readonly auto_pad: string;
    readonly strides?: readonly number[] | undefined;
    readonly dilations?: readonly number[] | undefined;
    readonly pads?: readonly number[] | undefined;
  },
): SymbolicWindow & { readonly kernel: Kernel } {
  const ones = kernel.map(() => 1);
  if (attributes.auto_pad !== "NOTSET")
    unsupported(`auto_pad ${attributes.auto_pad} is not supported, give pads`);
  const { strides = ones, dilations = ones, pads = [...ones, ...ones].map(() => 0) } = attributes;
  for (const [name, list, count] of [
    ["strides", strides, kernel.length],
    ["dilations", dilations, kernel.length],
    ["pads", pads, 2 * kernel.length],
  ] as const) {
    if (list.length !== count) refuse(`${name} has ${list.length} numbers, not ${count}`);
  }
  return { kernel, strides, dilations, pads };
}

/** A window whose kernel may have sizes that are known only when a graph runs. */
export type SymbolicWindow = Omit<Window, "kernel"> & { readonly kernel: Shape };

/** How many pixels a window covers along each axis: dilation * (kernel - 1) + 1. */
export function spanOf({ kernel, dilations }: SymbolicWindow, axis: number): Dim {
  return sumOf(productOf([at(dilations, axis), sumOf(at(kernel, axis), -1)]), 1);
}

/**
 * The spatial dimensions that a window leaves: floor((D + pads - dilation*(kernel-1) - 1) / stride) + 1.
 * With `ceil` it may hang over the end, but not start in the end padding. Refuses a window that does not fit,
 * and one with `ceil` whose number of places depends on the size of a symbol.
 */
export function windowedDims(dims: Shape, window: SymbolicWindow, ceil = false): Shape {
  const { kernel, strides, pads } = window;
  const rank = kernel.length;
  return kernel.map((_, i) => {
    const [dim, span, stride] = [at(dims, i), spanOf(window, i), at(strides, i)];
    const [before, after] = [at(pads, i), at(pads, i + rank)];
    const room = differenceOf(sumOf(dim, before + after), span);
    if (typeof room !== "number") {
      if (!ceil) return ceilQuotientOf(sumOf(room, 1), stride);
      if (typeof span === "number" && stride + after <= span) return sumOf(ceilQuotientOf(room, stride), 1);
      return unsupported(`with ceil_mode the size ${dim} must be known when the graph is built`);
    }
    if (room < 0) refuse(`a window of ${span} does not fit the padded dimension ${sumOf(room, span)}`);
    if (!ceil) return Math.floor(room / stride) + 1;
    const last = Math.ceil(room / stride);
    return last * stride >= Number(dim) + before ? last : last + 1;
  });
}
