import type { MeasuredImages } from "../../data/measured.ts";
import { formatRate, formatTable } from "../../format.ts";
import type { Absent, Comparison } from "./compare.ts";

/** What is told of a comparison. */
interface Told {
  readonly model: string;
  readonly against: string;
  readonly data: string;
  readonly part: MeasuredImages["part"];
  readonly images: number;
  readonly tolerance: number;
  readonly devices: readonly Comparison[];
  readonly absent: readonly Absent[];
}

/** The comparison for people. */
export function describe({ model, against, data, part, images, tolerance, devices, absent }: Told): string {
  const rows = devices.map((row) => [
    row.device,
    row.largest_error.toExponential(1),
    row.mean_error.toExponential(1),
    `${row.same_class} of ${images}`,
    formatRate(row.images_per_second),
    row.largest_error <= tolerance ? "yes" : "no",
  ]);
  return [
    formatTable(["device", "largest error", "mean error", "same class", "images/s", "agrees"], rows),
    "",
    `${model} against ${against} on ${images} ${part === "all" ? "" : `${part} `}images of ${data}; errors of the logits are relative to the largest, up to ${tolerance.toExponential(0)} agrees`,
    ...(absent.length > 0
      ? [
          "",
          formatTable(
            ["not run on", "because"],
            absent.map(({ device, reason }) => [device, reason]),
          ),
        ]
      : []),
  ].join("\n");
}
