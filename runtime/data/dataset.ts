import { UserError } from "../../graph-builder/errors.ts";
import { drawShapes, shapeNames } from "./shapes.ts";
import type { Dataset, DatasetSpec, LabelledImages, PictureFacts, Split } from "./types.ts";

/** The data sets that are known by name. */
export const datasetNames = ["cifar10", "cifar100", "fashion-mnist", "mnist", "shapes", "stl10"] as const;
export type DatasetName = (typeof datasetNames)[number];

/** Pictures of CIFAR and of shapes, and those of MNIST. */
const size = { channels: 3, height: 32, width: 32 } as const;
const mnistSize = { channels: 1, height: 28, width: 28 } as const;
const mnistCounts = { train: 60_000, test: 10_000 } as const;

const cifar100Names = `
  apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
  caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
  forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
  mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
  possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
  sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree
  wolf woman worm`;

/**
 * Every data set by its name. The statistics of CIFAR are those of the author's code (fb.resnet.torch,
 * datasets/cifar10.lua and cifar100.lua). Those of MNIST (0.1307, 0.3081), Fashion-MNIST (0.2860, 0.3530) and
 * STL-10 (0.4467, 0.4398, 0.4066; 0.2603, 0.2566, 0.2713) are the ones that PyTorch's users publish, times
 * 255. Those of shapes are measured over the 5,000 training pictures of seed 0.
 */
export const datasets: Readonly<Record<DatasetName, DatasetSpec>> = {
  cifar10: {
    title: "CIFAR-10",
    classNames: "airplane automobile bird cat deer dog frog horse ship truck".split(" "),
    size,
    mean: [125.3, 123.0, 113.9],
    std: [63.0, 62.1, 66.7],
    counts: { train: 50_000, test: 10_000 },
  },
  cifar100: {
    title: "CIFAR-100",
    classNames: cifar100Names.trim().split(/\s+/),
    size,
    mean: [129.3, 124.1, 112.4],
    std: [68.2, 65.4, 70.4],
    counts: { train: 50_000, test: 10_000 },
  },
  "fashion-mnist": {
    title: "Fashion-MNIST",
    classNames: [
      "T-shirt/top",
      "Trouser",
      "Pullover",
      "Dress",
      "Coat",
      "Sandal",
      "Shirt",
      "Sneaker",
      "Bag",
      "Ankle boot",
    ],
    size: mnistSize,
    mean: [72.9],
    std: [90.0],
    counts: mnistCounts,
  },
  mnist: {
    title: "MNIST",
    classNames: "0 1 2 3 4 5 6 7 8 9".split(" "),
    size: mnistSize,
    mean: [33.3],
    std: [78.6],
    counts: mnistCounts,
  },
  shapes: {
    title: "shapes",
    classNames: shapeNames,
    size,
    mean: [125.0, 125.4, 125.6],
    std: [68.0, 67.6, 67.5],
    counts: { train: 5_000, test: 1_000 },
  },
  stl10: {
    title: "STL-10",
    classNames: "airplane bird car cat deer dog horse monkey ship truck".split(" "),
    size: { channels: 3, height: 96, width: 96 },
    mean: [113.9, 112.1, 103.7],
    std: [66.4, 65.4, 69.2],
    counts: { train: 5_000, test: 8_000 },
  },
};

/** The data set of a run: one that is known by name, or pictures of one's own, which the run describes. */
export interface DataReference {
  /** The name, or the absolute path of one's own pictures. */
  readonly data: string;
  readonly pictures?: PictureFacts | undefined;
}

/** Whether a text is the name of a known data set. */
export function isDatasetName(data: string): data is DatasetName {
  return datasetNames.some((name) => name === data);
}

/** What is known of a run's data set. Throws UserError for a name that is not known. */
export function describeData({ data, pictures }: DataReference): Omit<DatasetSpec, "counts"> {
  if (pictures) return { title: data.split(/[/\\]/).findLast((part) => part !== "") ?? data, ...pictures };
  if (isDatasetName(data)) return datasets[data];
  throw new UserError(`${data} is not the name of a data set: it is one of ${datasetNames.join(", ")}.`, {
    code: "data-unknown",
    details: { data },
  });
}

/** The data set whose statistics and classes a network has; undefined where no known one has them. */
export function datasetOf(network: {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes: number;
}): DatasetName | undefined {
  return datasetNames.find((name) => {
    const { mean, std, classNames } = datasets[name];
    return (
      [...mean, ...std, classNames.length].join() ===
      [...network.mean, ...network.std, network.classes].join()
    );
  });
}

/** A picture has 3,072 bytes, and all are in memory: 2 GiB of them. */
const MOST_SHAPES = Math.floor(2 ** 31 / 3072);

/** Draws the first `count` pictures of a split of `shapes`, at most 699,050. Throws UserError for more. */
export function shapesDataset(split: Split, count = datasets.shapes.counts[split], seed = 0): Dataset {
  if (count > MOST_SHAPES) {
    const most = MOST_SHAPES.toLocaleString("en-US");
    throw new UserError(`At most ${most} pictures of shapes can be drawn, not ${count}.`, {
      code: "setting-invalid",
      details: { count },
    });
  }
  return datasetWith("shapes", drawShapes(split, count, seed));
}

/** A split in memory of the data set of a name. */
export function datasetWith(name: DatasetName, { images, labels }: LabelledImages): Dataset {
  const { classNames, size, mean, std } = datasets[name];
  return { name, classNames, size, mean, std, images, labels, count: labels.length };
}

/** Writes images in the binary format of CIFAR-10: for each image its label, then its pixels. */
export function cifarRecords({ images, labels }: LabelledImages): Uint8Array<ArrayBuffer> {
  const pixels = images.length / labels.length;
  const records = new Uint8Array(images.length + labels.length);
  labels.forEach((label, i) => {
    records[i * (pixels + 1)] = label;
    records.set(images.subarray(i * pixels, (i + 1) * pixels), i * (pixels + 1) + 1);
  });
  return records;
}
