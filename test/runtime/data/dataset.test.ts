import { describe, expect, test } from "vitest";
import { datasets } from "../../../runtime/data/dataset.ts";
import { datasetDigest, loadDataset } from "../../../runtime/node/index.ts";

describe("datasets", () => {
  test.each([
    ["cifar10", 10, ["airplane", "truck"]],
    ["cifar100", 100, ["apple", "worm"]],
    ["shapes", 10, ["circle", "heart"]],
  ] as const)("%s has %d different class names", (name, count, [first, last]) => {
    const { classNames } = datasets[name];
    expect(new Set(classNames).size).toBe(count);
    expect([classNames[0], classNames.at(-1)]).toEqual([first, last]);
  });

  test("the names of CIFAR-100 are in alphabetical order, as its labels are", () => {
    const { classNames } = datasets.cifar100;
    expect([...classNames].sort()).toEqual(classNames);
  });
});

describe("loadDataset of shapes", () => {
  test("has as many pictures as the table says, or as a limit asks for", async () => {
    for (const split of ["train", "test"] as const) {
      expect((await loadDataset("shapes", { split })).count).toBe(datasets.shapes.counts[split]);
    }
    const { images, labels, count } = await loadDataset("shapes", { split: "test", limit: 1_003 });
    expect([images.length / (3 * 32 * 32), labels.length, count]).toEqual([1_003, 1_003, 1_003]);
  });

  test("tells what a model needs: class names, mean and standard deviation", async () => {
    const { name, classNames, mean, std } = await loadDataset("shapes", { split: "test", limit: 1 });
    expect(name).toBe("shapes");
    expect({ classNames, mean, std }).toMatchObject({
      classNames: datasets.shapes.classNames,
      mean: datasets.shapes.mean,
      std: datasets.shapes.std,
    });
  });
});

describe("datasetDigest", () => {
  test("is the same for the same pictures, and another for another seed, split or label", async () => {
    const digest = async (split: "train" | "test", seed: number) =>
      datasetDigest(await loadDataset("shapes", { split, seed, limit: 20 }));
    const digests = [await digest("train", 0), await digest("test", 0), await digest("train", 1)];
    expect(new Set(digests).size).toBe(3);
    expect(await digest("train", 0)).toBe(digests[0]);
    const relabelled = await loadDataset("shapes", { split: "train", seed: 0, limit: 20 });
    relabelled.labels[3] = 0;
    expect(digests).not.toContain(datasetDigest(relabelled));
  });

  test("is the SHA-256 of label and pixels, image after image", async () => {
    // printf '\001\002\003\004\005\006' | sha256sum
    const digest = datasetDigest({ images: Uint8Array.of(2, 3, 5, 6), labels: Uint8Array.of(1, 4) });
    expect(digest).toBe("7192385c3c0605de55bb9476ce1d90748190ecb32a8eed7f5207b30cf6a1fe89");
  });
});
