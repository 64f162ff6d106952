/** A frame of an animation: the file of a still WebP picture, and how long it is shown, in ms. */
export interface Frame {
  readonly webp: Uint8Array;
  readonly duration: number;
}

/**
 * Joins still pictures of one size into an animated WebP that repeats for ever (developers.google.com,
 * "WebP Container Specification"). Throws Error for a picture that is no WebP.
 */
export function animatedWebp(frames: readonly Frame[], width: number, height: number): Uint8Array {
  const size = [...uint24(width - 1), ...uint24(height - 1)];
  const animated = 0x02;
  const header = chunk("VP8X", new Uint8Array([animated, 0, 0, 0, ...size]));
  // background colour, then the number of repeats: 0 is for ever
  const loop = chunk("ANIM", new Uint8Array([255, 255, 255, 255, 0, 0]));
  const pictures = frames.map(({ webp, duration }) => {
    // the place, the size, the duration, and a frame that replaces what is behind it
    const head = [0, 0, 0, 0, 0, 0, ...size, ...uint24(duration), 0x02];
    return chunk("ANMF", joined([new Uint8Array(head), pictureIn(webp)]));
  });
  const body = joined([text("WEBP"), header, loop, ...pictures]);
  return joined([text("RIFF"), uint32(body.length), body]);
}

/** The chunks of a still picture, without the header of an extended file. */
function pictureIn(webp: Uint8Array): Uint8Array {
  if (nameAt(webp, 8) !== "WEBP") throw new Error("a frame is no WebP picture");
  const view = new DataView(webp.buffer, webp.byteOffset, webp.byteLength);
  const chunks: Uint8Array[] = [];
  for (let start = 12; start < webp.length; ) {
    const end = start + 8 + view.getUint32(start + 4, true);
    const padded = end + (end % 2);
    if (["VP8 ", "VP8L", "ALPH"].includes(nameAt(webp, start))) chunks.push(webp.subarray(start, padded));
    start = padded;
  }
  return joined(chunks);
}

function nameAt(bytes: Uint8Array, start: number): string {
  return new TextDecoder("latin1").decode(bytes.subarray(start, start + 4));
}

function chunk(name: string, payload: Uint8Array): Uint8Array {
  const padding = new Uint8Array(payload.length % 2);
  return joined([text(name), uint32(payload.length), payload, padding]);
}

function text(name: string): Uint8Array {
  return new TextEncoder().encode(name);
}

function uint24(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255];
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    out.set(part, start);
    start += part.length;
  }
  return out;
}
