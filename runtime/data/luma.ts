/** The grey of a colour, 0..255 (ITU-R BT.601). */
export function luma(red: number, green: number, blue: number): number {
  return Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
}
