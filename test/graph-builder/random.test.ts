import { describe, expect, test } from "vitest";
import { philox4x32, RandomStream } from "../../graph-builder/random.ts";

function philox(...words: [number, number, number, number, number, number]): Uint32Array {
  const out = new Uint32Array(4);
  philox4x32(out, ...words);
  return out;
}

function words(hexadecimal: string): number[] {
  return hexadecimal.split(" ").map((word) => Number.parseInt(word, 16));
}

function moments(values: ArrayLike<number>): { mean: number; variance: number; kurtosis: number } {
  const all = Array.from(values);
  const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
  const central = (power: number) => all.reduce((sum, x) => sum + (x - mean) ** power, 0) / all.length;
  return { mean, variance: central(2), kurtosis: central(4) / central(2) ** 2 };
}

/**
 * Pearson's statistic of counts that should be equal, as the number of its standard deviations off its mean.
 */
function chiSquareDeviation(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (statistic - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1));
}

function histogram(bins: number, samples: number, sample: (i: number) => number): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (let i = 0; i < samples; i++) {
    const bin = sample(i);
    counts[bin] = (counts[bin] ?? Number.NaN) + 1;
  }
  return counts;
}

describe("philox4x32", () => {
  // https://github.com/DEShawResearch/random123: tests/kat_vectors, "philox4x32 10": counter, key, expected
  test.each([
    ["00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    ["ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    ["243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"],
  ])("gives Random123's known answer for counter %s and key %s", (counter, key, expected) => {
    const [c0 = 0, c1 = 0, c2 = 0, c3 = 0] = words(counter);
    const [k0 = 0, k1 = 0] = words(key);
    expect([...philox(c0, c1, c2, c3, k0, k1)]).toEqual(words(expected));
  });
});

describe("RandomStream", () => {
  test("has the seed as key, the FNV-1a hash of its name and the index as counter", () => {
    // FNV-1a 64 of "foobar" is 85944171f73967e8 (http://www.isthe.com/chongo/tech/comp/fnv)
    const seed = 3 * 2 ** 32 + 5;
    const index = 4 * (7 * 2 ** 32 + 2) + 1;
    const block = philox(2, 7, 0xf73967e8, 0x85944171, 5, 3);
    expect(new RandomStream(seed, "foobar").uint32(index)).toBe(block[1]);
  });

  test("gives an index the same number in whatever order it is asked for", () => {
    const stream = new RandomStream(1, "order");
    const forward = Array.from({ length: 40 }, (_, i) => stream.uint32(i));
    const backward = Array.from({ length: 40 }, (_, i) => stream.uint32(39 - i)).reverse();
    const alone = Array.from({ length: 40 }, (_, i) => new RandomStream(1, "order").uint32(i));
    expect(backward).toEqual(forward);
    expect(alone).toEqual(forward);
    expect(new Set(forward).size).toBe(40);
  });

  test.each([
    ["seeds", new RandomStream(1, "alpha"), new RandomStream(2, "alpha")],
    [
      "seeds that agree in their lower 32 bits",
      new RandomStream(1, "alpha"),
      new RandomStream(1 + 2 ** 32, "alpha"),
    ],
    ["names", new RandomStream(1, "alpha"), new RandomStream(1, "beta")],
  ])("is independent of one of other %s", (_, a, b) => {
    const count = 40_000;
    const x = new Float32Array(count);
    const y = new Float32Array(count);
    a.fillUniform(x);
    b.fillUniform(y);
    const covariance = x.reduce((sum, value, i) => sum + (value - 0.5) * ((y[i] ?? 0) - 0.5), 0) / count;
    expect(Math.abs(12 * covariance)).toBeLessThan(4 / Math.sqrt(count));
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53])("refuses the seed %d", (seed) => {
    expect(() => new RandomStream(seed, "order")).toThrow(/The seed must be an integer from 0 .* not/);
  });

  test("fills an array from any index with the numbers it gives one by one", () => {
    const stream = new RandomStream(9, "fill");
    const uniform = new Float32Array(11);
    const normal = new Float32Array(11);
    stream.fillUniform(uniform, 7);
    stream.fillNormal(normal, 7);
    expect([...uniform]).toEqual(Array.from(uniform, (_, i) => stream.uniform(7 + i)));
    expect([...normal]).toEqual(Array.from(normal, (_, i) => Math.fround(stream.normal(7 + i))));
  });

  test("draws uniform numbers of [0, 1) that float32 holds exactly", () => {
    const stream = new RandomStream(3, "uniform");
    const values = Array.from({ length: 100_000 }, (_, i) => stream.uniform(i));
    expect(values.every((x) => x >= 0 && x < 1 && Math.fround(x) === x)).toBe(true);
    const { mean, variance } = moments(values);
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(0.004);
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.001);
    const counts = histogram(256, values.length, (i) => Math.floor(256 * (values[i] ?? 0)));
    expect(Math.abs(chiSquareDeviation(counts))).toBeLessThan(4);
  });

  test("draws normal numbers with the moments and tails of N(0, 1)", () => {
    const values = new Float32Array(100_000);
    new RandomStream(3, "normal").fillNormal(values);
    const { mean, variance, kurtosis } = moments(values);
    expect(Math.abs(mean)).toBeLessThan(0.013);
    expect(Math.abs(variance - 1)).toBeLessThan(0.018);
    expect(Math.abs(kurtosis - 3)).toBeLessThan(0.07);
    const beyond = (limit: number) => values.filter((x) => Math.abs(x) > limit).length / values.length;
    expect(beyond(1)).toBeCloseTo(0.3173, 2);
    expect(beyond(3)).toBeCloseTo(0.0027, 3);
  });

  test("pairs of normal numbers are uncorrelated", () => {
    const values = new Float32Array(100_000);
    new RandomStream(4, "normal").fillNormal(values);
    const products = Array.from(
      { length: 50_000 },
      (_, i) => (values[2 * i] ?? 0) * (values[2 * i + 1] ?? 0),
    );
    expect(Math.abs(moments(products).mean)).toBeLessThan(4 / Math.sqrt(50_000));
  });

  test.each([1, 2, 7, 100])("draws integers below %d equally often", (bound) => {
    const stream = new RandomStream(5, "integer");
    const counts = histogram(bound, 20_000, (i) => stream.integer(i, bound));
    expect(counts.every((count) => count > 0)).toBe(true);
    if (bound > 1) expect(Math.abs(chiSquareDeviation(counts))).toBeLessThan(4);
  });

  test("draws an integer below 2^32 as the word itself", () => {
    const stream = new RandomStream(5, "integer");
    for (let i = 0; i < 100; i++) expect(stream.integer(i, 2 ** 32)).toBe(stream.uint32(i));
  });

  test("a permutation has every number once, and each index has another one", () => {
    const stream = new RandomStream(6, "order");
    const first = stream.permutation(1000, 0);
    const second = stream.permutation(1000, 1);
    const sorted = Array.from({ length: 1000 }, (_, i) => i);
    expect([...first].sort((a, b) => a - b)).toEqual(sorted);
    expect([...second].sort((a, b) => a - b)).toEqual(sorted);
    expect(first.filter((value, i) => value === second[i]).length).toBeLessThan(10);
    expect(new RandomStream(6, "order").permutation(1000, 1)).toEqual(second);
    expect(stream.permutation(0, 0)).toEqual(new Uint32Array(0));
  });

  test("all 24 permutations of four are equally likely", () => {
    const stream = new RandomStream(7, "order");
    const counts = new Map<string, number>();
    for (let i = 0; i < 12_000; i++) {
      const key = stream.permutation(4, i).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(Math.abs(chiSquareDeviation([...counts.values()]))).toBeLessThan(4);
  });
});
