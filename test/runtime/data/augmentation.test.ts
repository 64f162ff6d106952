import { describe, expect, test } from "vitest";
import {
  type Augmentation,
  augmenter,
  type Dataset,
  paperAugmentation,
  trainBatch,
} from "../../../runtime/index.ts";

const SIDE = 6;
const AREA = SIDE * SIDE;

/** Images whose red pixels count from 1 in rows, green pixels from 101; the mean is 0. */
function rulers(count: number): Dataset {
  const images = new Uint8Array(2 * AREA * count).map(
    (_, i) => 1 + (i % AREA) + 100 * (Math.floor(i / AREA) % 2),
  );
  const size = { channels: 2, height: SIDE, width: SIDE };
  return {
    name: "rulers",
    classNames: [],
    size,
    mean: [0, 0.4],
    std: [1, 1],
    images,
    labels: new Uint8Array(count),
    count,
  };
}

const still: Augmentation = { flip: "none", translate: 0, border: "mean", cutout: 0 };

/** Image 0 of an augmentation in some places of epoch 0. */
function shown(changes: Partial<Augmentation>, places: number, seed = 1): Uint8Array[] {
  const augment = augmenter(rulers(1000), seed, { ...still, ...changes });
  return Array.from({ length: places }, (_, place) => {
    const out = new Uint8Array(2 * AREA);
    augment({ source: 0, epoch: 0, place }, out);
    return out;
  });
}

const original = rulers(1).images;

/** The columns of an image in the other order. */
function mirrored(image: Uint8Array): Uint8Array {
  return image.map((_, i) => image[i - (i % SIDE) + (SIDE - 1 - (i % SIDE))] ?? 0);
}

test("without flips, moves and cutout an image is as it was", () => {
  for (const image of shown({}, 20)) expect(image).toEqual(original);
});

test("a random flip shows an image mirrored about half of the times", () => {
  const images = shown({ flip: "random" }, 400);
  const turned = images.filter((image) => image.join() === mirrored(original).join()).length;
  expect(images.filter((image) => image.join() === original.join())).toHaveLength(400 - turned);
  // four standard deviations
  expect(Math.abs(turned - 200)).toBeLessThan(40);
});

test("an alternating flip turns every image round from epoch to epoch, and half of them at first", () => {
  const dataset = rulers(400);
  const augment = augmenter(dataset, 1, { ...still, flip: "alternating" });
  const isMirrored = (source: number, epoch: number) => {
    const out = new Uint8Array(2 * AREA);
    augment({ source, epoch, place: (source * 7 + epoch) % 400 }, out);
    return out.join() !== original.join();
  };
  const first = Array.from({ length: 400 }, (_, source) => isMirrored(source, 0));
  expect(Math.abs(first.filter(Boolean).length - 200)).toBeLessThan(40);
  for (const epoch of [1, 2, 3]) {
    const now = first.map((_, source) => isMirrored(source, epoch));
    expect(now).toEqual(first.map((was) => (epoch % 2 === 1 ? !was : was)));
  }
});

describe("a move", () => {
  /**
   * An image moved right and down, pixel by pixel; `outside` gives the row or column of one that is not
   * there.
   */
  function moved(right: number, down: number, outside: (place: number) => number | undefined): Uint8Array {
    return original.map((_, i) => {
      const row = outside((Math.floor(i / SIDE) % SIDE) - down);
      const column = outside((i % SIDE) - right);
      if (row === undefined || column === undefined) return 0;
      return original[Math.floor(i / AREA) * AREA + row * SIDE + column] ?? 0;
    });
  }

  const moves = [-2, -1, 0, 1, 2].flatMap((x) => [-2, -1, 0, 1, 2].map((y) => [x, y] as const));
  const mean = (place: number) => (place >= 0 && place < SIDE ? place : undefined);
  // the border's pixels are not repeated: numpy.pad's mode "reflect"
  const reflect = (place: number) => [2, 1, 0, 1, 2, 3, 4, 5, 4, 3][place + 2];

  test.each([
    ["mean", mean],
    ["reflect", reflect],
  ] as const)("of at most 2 pixels with border %s has 25 places, each equally often", (border, outside) => {
    const counts = new Map(moves.map(([x, y]) => [moved(x, y, outside).join(), 0]));
    expect(counts.size).toBe(25);
    for (const image of shown({ translate: 2, border }, 1000)) {
      const key = image.join();
      const count = counts.get(key);
      expect(count).toBeDefined();
      counts.set(key, (count ?? 0) + 1);
    }
    const statistic = [...counts.values()].reduce((sum, count) => sum + (count - 40) ** 2 / 40, 0);
    expect(Math.abs(statistic - 24) / Math.sqrt(48)).toBeLessThan(4);
  });

  test("of more pixels than the image has is reflected between its borders", () => {
    const between = (place: number): number => {
      if (place < 0) return between(-place);
      return place < SIDE ? place : between(2 * (SIDE - 1) - place);
    };
    const distances = Array.from({ length: 33 }, (_, i) => i - 16);
    const allowed = new Set(distances.flatMap((x) => distances.map((y) => moved(x, y, between).join())));
    for (const image of shown({ translate: 16, border: "reflect" }, 200))
      expect(allowed.has(image.join())).toBe(true);
  });

  test("of a mirrored image moves its mirrored pixels", () => {
    const both = shown({ flip: "random", translate: 1, border: "reflect" }, 200).map((image) => image.join());
    const plain = moves.map(([x, y]) => moved(x, y, reflect));
    const allowed = new Set([...plain, ...plain.map(mirrored)].map((image) => image.join()));
    expect(both.every((image) => allowed.has(image))).toBe(true);
    expect(new Set(both).size).toBe(18);
  });
});

test("cutout blanks a square round any pixel out, in all channels, and what stands out of the image is lost", () => {
  const middles = new Map<string, number>();
  for (const image of shown({ cutout: 3 }, 3600)) {
    const blank = [...image.keys()].filter((i) => image[i] !== original[i]);
    expect(blank.every((i) => image[i] === 0)).toBe(true);
    const places = blank.filter((i) => i < AREA);
    expect(blank.slice(places.length)).toEqual(places.map((i) => i + AREA));
    const rows = places.map((i) => Math.floor(i / SIDE));
    const columns = places.map((i) => i % SIDE);
    const key = [Math.min(...rows), Math.max(...rows), Math.min(...columns), Math.max(...columns)].join();
    expect(places).toHaveLength(
      (Math.max(...rows) - Math.min(...rows) + 1) * (Math.max(...columns) - Math.min(...columns) + 1),
    );
    middles.set(key, (middles.get(key) ?? 0) + 1);
  }
  // squares round the 6 x 6 pixels, cut at the border, are all different
  expect(middles.size).toBe(36);
  expect(Math.min(...middles.values())).toBeGreaterThan(60);
});

test("a seed gives the same images again, and another seed gives others", () => {
  const all = { flip: "alternating", translate: 2, border: "reflect", cutout: 3 } as const;
  expect(shown(all, 50)).toEqual(shown(all, 50));
  expect(shown(all, 50, 2)).not.toEqual(shown(all, 50));
});

test("a batch has the paper's augmentation unless another one is given", () => {
  const dataset = rulers(8);
  const batch = (augmentation?: Augmentation) =>
    trainBatch(dataset, { seed: 1, batchSize: 8, augmentation }, 3).images;
  expect(batch()).toEqual(batch(paperAugmentation));
  expect(batch(still)).toEqual(dataset.images);
});
