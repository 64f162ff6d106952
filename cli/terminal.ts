import picocolors from "picocolors";

/** Colours for a stream: none where it is not a terminal or NO_COLOR is set. */
export function colors(stream: NodeJS.WriteStream): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stream.isTTY === true && !process.env["NO_COLOR"]);
}
