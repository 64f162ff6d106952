import sharp from "sharp";

/** The classes of the pictures that `ownPhoto` draws. */
export const ownClasses = ["leaf", "sun"] as const;

/**
 * A PNG of 160 x 120 pixels of a class; another index gives another picture. Index 0 to 9 are different
 * places.
 */
export function ownPhoto(className: (typeof ownClasses)[number], index: number): Promise<Buffer> {
  const [x, y, size] = [55 + ((index * 17) % 50), 45 + ((index * 11) % 30), 24 + ((index * 5) % 14)];
  const sky = `hsl(${200 + ((index * 7) % 30)} 60% ${60 + (index % 5) * 4}%)`;
  const wood = `hsl(${25 + ((index * 5) % 20)} 35% ${25 + (index % 5) * 4}%)`;
  const shapes = {
    sun: `<rect width="160" height="120" fill="${sky}"/><circle cx="${x}" cy="${y}" r="${size}" fill="#ffd835"/>`,
    leaf: `<rect width="160" height="120" fill="${wood}"/><ellipse cx="${x}" cy="${y}" rx="${size + 12}" ry="${size / 2}" fill="#2e8b3a" transform="rotate(${index * 23} ${x} ${y})"/>`,
  };
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="160" height="120">${shapes[className]}</svg>`;
  return sharp(Buffer.from(svg)).png().toBuffer();
}

/** The middle square of a PNG in raw pixels uint8 [3, 32, 32]. */
export async function pixelsOfPng(png: Buffer): Promise<Uint8Array> {
  const raw = await sharp(png).resize(32, 32).removeAlpha().raw().toBuffer();
  return Uint8Array.from({ length: raw.length }, (_, i) => raw[3 * (i % 1024) + Math.floor(i / 1024)] ?? 0);
}
