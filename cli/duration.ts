const units: readonly (readonly [unit: string, seconds: number])[] = [
  ["d", 86_400],
  ["h", 3600],
  ["m(?:in)?", 60],
  ["s", 1],
];

const pattern = new RegExp(`^${units.map(([unit]) => `(?:(\\d+(?:\\.\\d+)?)${unit})?`).join("")}$`);

/**
 * The seconds of a time as people write it: 90s, 15m, 1h30m, 1.5h, 2d. A number without a unit has seconds.
 * Returns undefined for another text, and for no time.
 */
export function secondsIn(text: string): number | undefined {
  const plain = text.toLowerCase().replaceAll(/\s+/g, "");
  const [, ...counts] = pattern.exec(/^\d+(\.\d+)?$/.test(plain) ? `${plain}s` : plain) ?? [];
  const seconds = units.reduce((sum, [, each], i) => sum + each * Number(counts[i] ?? 0), 0);
  return seconds > 0 ? seconds : undefined;
}
