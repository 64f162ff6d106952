import { interleaved } from "../../../runtime/node/data/pictures.ts";
import type { OwnPictures } from "../../../runtime/node/index.ts";
import { html } from "../../report/html.ts";

/** The most pictures of a class, and the most classes, on a contact sheet. */
const [mostPictures, mostClasses] = [12, 60];

/** The room for the name of a class, and the gap between pictures, in pixels. */
const [nameHeight, gap] = [20, 4];

/** A PNG with the first pictures of each class in a row under its name and their number. */
export async function drawContactSheet(own: OwnPictures): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  const classes = own.classNames.slice(0, mostClasses);
  const { height, width } = own.size;
  const rowHeight = nameHeight + height + gap;
  const sheet = {
    width: mostPictures * (width + gap) + gap,
    height: classes.length * rowHeight + gap,
  };
  const tiles: {
    input: Buffer;
    left: number;
    top: number;
    raw: { width: number; height: number; channels: 3 };
  }[] = [];
  for (const [row, label] of classes.entries()) {
    const pictures = own.split().filter((picture) => picture.label === label);
    for (const [column, picture] of pictures.slice(0, mostPictures).entries()) {
      const planes = await own.pixels(picture);
      tiles.push({
        input: Buffer.from(interleaved(planes, 3)),
        left: gap + column * (width + gap),
        top: gap + row * rowHeight + nameHeight,
        raw: { width, height, channels: 3 },
      });
    }
  }
  const names = classes.map((label, row) => {
    const count = own.split().filter((picture) => picture.label === label).length;
    const y = gap + row * rowHeight + nameHeight - 6;
    return html`<text x="${gap}" y="${y}">${label}: ${count}</text>`;
  });
  const { text } =
    html`<svg xmlns="http://www.w3.org/2000/svg" width="${sheet.width}" height="${sheet.height}" font-family="sans-serif" font-size="13" fill="#222">${names}</svg>`;
  return sharp({ create: { ...sheet, channels: 3, background: "white" } })
    .composite([...tiles, { input: Buffer.from(text), left: 0, top: 0 }])
    .png()
    .toBuffer();
}
