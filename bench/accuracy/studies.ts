/** A training of a study, for some seeds. */
export interface Row {
  /** What the table calls it. */
  readonly label: string;
  /** The line of the figure that it belongs to. */
  readonly line: string;
  /** Its place on the horizontal axis of a figure over something other than epochs. */
  readonly x?: number;
  /** `shake train`, or the loop in PyTorch of test/interop/train_torch.py. */
  readonly program: "shake" | "torch";
  /** The flags of the program, without the seed. */
  readonly flags: readonly string[];
  /** Whether it trains alone, on all cores; other trainings run beside each other, each on one core. */
  readonly usesAllCores?: boolean;
}

/** Trainings that answer one question, and how the answer is drawn. */
export interface Study {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly figure?: {
    readonly title: string;
    /** What the horizontal axis counts, where it counts. */
    readonly xTitle?: string;
    /**
     * The test accuracy of every epoch; the last accuracy over the rows' `x`, or a bar a row; how alike the
     * branches of each block are; or the last accuracy over the time of the training, without and with
     * mirrored images.
     */
    readonly shows: "test_accuracy" | "last accuracy" | "bars" | "correlation" | "minutes";
  };
}

/** How the branches are mixed, by the paper's names: Even or Shake, forward and backward, by image. */
const mixes = {
  "E-E": ["--forward", "even", "--backward", "even"],
  "S-E-I": ["--forward", "shake", "--backward", "even"],
  "S-S-I": ["--forward", "shake", "--backward", "shake"],
} as const;

/** Alpha by chance, and beta by a rule of the paper's table 4. */
function byRule(name: string): readonly string[] {
  return ["--forward", "shake", "--backward", name];
}

/** Where beta lies: from a network without noise to a beta that is the farthest from alpha. */
const rules = [
  ["E-E: alpha and beta 1/2", mixes["E-E"]],
  ["S-E-I: 1/2", mixes["S-E-I"]],
  ["M3: between alpha and 1/2", byRule("m3")],
  ["M2: beyond alpha", byRule("m2")],
  ["S-S-I: anywhere", mixes["S-S-I"]],
  ["M4: between 1/2 and 1 - alpha", byRule("m4")],
  ["M1: 1 - alpha", byRule("m1")],
  ["M5: beyond 1 - alpha", byRule("m5")],
] as const;

/** A run of 8 2x16d that sees 60,000 images, the first `images` of CIFAR-10 again and again. */
function short(images: number, mix: readonly string[]): Pick<Row, "program" | "flags"> {
  const epochs = String(60_000 / images);
  const length = ["--train-limit", String(images), "--epochs", epochs, "--evaluate-every-epochs", epochs];
  return { program: "shake", flags: ["--data", "cifar10", ...length, ...mix] };
}

/** Two networks of one cost that see 60,000 images, the first 10,000 of CIFAR-10 again and again. */
const deeper = [
  ...["--data", "cifar10", "--depth", "14", "--train-limit", "10000"],
  ...["--epochs", "6", "--evaluate-every-epochs", "6"],
];
const pyramid = [...deeper, "--network", "pyramidnet", "--alpha", "48"];
const shaken = (["E-E", "S-S-I"] as const).map((mix) => ({
  label: `14 2x16d, ${mix}`,
  line: mix,
  flags: [...deeper, ...mixes[mix]],
}));

/** Noise of a strength that changes over 15 epochs of `--recipe fast`, in a network of half its width. */
const scheduled = (["S-E-I", "S-S-I"] as const).flatMap((mix) =>
  ["constant", "growing", "shrinking", "early", "late"].map((schedule) => ({
    label: `${mix}, ${schedule}`,
    flags: [...mixes[mix], "--shake-schedule", schedule],
  })),
);
const narrow = ["--data", "cifar10", "--recipe", "fast", "--width", "16", "--evaluate-every-epochs", "15"];

/** An hour of a larger network by `--recipe fast`. */
const hour = [
  ...["--depth", "14", "--width", "48", "--epochs", "21", "--batch-size", "256"],
  ...["--learning-rate", "0.045", "--sgd-rate", "15", "--cutout", "8", "--evaluate-every-epochs", "7"],
];

/** The paper's recipe, as both programs take it. */
const paper = [
  "--depth",
  "14",
  "--width",
  "16",
  "--epochs",
  "10",
  "--batch-size",
  "128",
  "--learning-rate",
  "0.2",
];

/** The studies by the names that the command takes. */
export const studies: Readonly<Record<string, Study>> = {
  "little-data": {
    title: "Is it effective when there is little data?",
    rows: [500, 1000, 2000, 5000, 10_000].flatMap((images) =>
      Object.entries(mixes).map(([line, mix]) => ({
        label: `${images.toLocaleString("en-US")} images, ${line}`,
        line,
        x: images,
        ...short(images, mix),
      })),
    ),
    figure: {
      title: "Test accuracy in percent, 8 2x16d, CIFAR-10",
      xTitle: "training images",
      shows: "last accuracy",
    },
  },
  "backward-rules": {
    title: "Rules for beta, by the paper's table 4",
    rows: rules.map(([label, mix]) => ({ label, line: label, ...short(10_000, mix) })),
    figure: { title: "Test accuracy in percent, 8 2x16d, 10,000 images of CIFAR-10", shows: "bars" },
  },
  "shake-drop": {
    title: "ShakeDrop beside Shake-Shake",
    rows: [
      { label: "PyramidNet-14, ShakeDrop", line: "", flags: [...pyramid, "--regularization", "shake-drop"] },
      { label: "PyramidNet-14, no noise", line: "", flags: [...pyramid, "--regularization", "none"] },
      ...shaken,
    ].map((row) => ({ ...row, program: "shake" })),
  },
  branches: {
    title: "How alike the two branches are",
    rows: shaken.map((row) => ({ ...row, program: "shake" })),
    figure: { title: "Correlation of the branches, 14 2x16d", xTitle: "block", shows: "correlation" },
  },
  "shake-schedules": {
    title: "How strong the noise is over the run",
    rows: [{ label: "E-E: no noise", flags: mixes["E-E"] }, ...scheduled].map(({ label, flags }) => ({
      label,
      line: label,
      program: "shake",
      flags: [...narrow, ...flags],
    })),
    figure: { title: "Test accuracy in percent, 8 2x16d, 15 epochs of CIFAR-10", shows: "bars" },
  },
  budgets: {
    title: "Accuracy over minutes",
    rows: [
      { label: "8 2x32d, 5 epochs", flags: ["--epochs", "5"] },
      { label: "8 2x32d, 15 epochs", flags: [] },
      { label: "14 2x48d, 21 epochs", flags: hour },
    ].map(({ label, flags }) => ({
      label,
      line: "",
      program: "shake",
      flags: ["--data", "cifar10", "--recipe", "fast", ...flags],
      usesAllCores: true,
    })),
    figure: { title: "Accuracy in percent, CIFAR-10, E-E", xTitle: "minutes", shows: "minutes" },
  },
  "torch-curves": {
    title: "The same recipe in PyTorch",
    rows: [
      { label: "ShakeNet", line: "ShakeNet", program: "shake", flags: ["--data", "cifar10", ...paper] },
      { label: "PyTorch", line: "PyTorch", program: "torch", flags: [...paper, "--every", "1"] },
    ],
    figure: {
      title: "Test accuracy in percent, 14 2x16d, CIFAR-10",
      xTitle: "epoch",
      shows: "test_accuracy",
    },
  },
};
