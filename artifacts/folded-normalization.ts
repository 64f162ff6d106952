import { isOp, type Model, type Node, type Value } from "../graph-builder/index.ts";
import type { Warning } from "./warnings.ts";

/** A way in which an exporter folds batch normalisation into other numbers. */
interface Folding {
  /** The constants of a node that batch normalisation was folded into. */
  readonly foldedIn: (node: Node) => readonly Value[];
  /** Whether a layer that is left tells that there was nothing to fold. */
  readonly isGuess: boolean;
  readonly message: string;
}

const intoConvolutions =
  "Batch normalisation is folded into the convolutions of this file, so it is trained without it";

const foldings: readonly Folding[] = [
  // torch.onnx.export(dynamo=False) calls the folded filters onnx::Conv_123
  {
    foldedIn: ({ opType, inputs: [, weight, bias] }) =>
      opType === "Conv" && weight && bias && /^onnx::Conv_\d+$/.test(weight.name ?? "") ? [weight] : [],
    isGuess: true,
    message: `${intoConvolutions}: export with training=TrainingMode.PRESERVE and do_constant_folding=False to keep it.`,
  },
  // torch.onnx.export(dynamo=True) notes the rule, such as FuseBatchNormIntoConv
  {
    foldedIn: ({ inputs: [, weight], notes }) =>
      weight && notes?.metadataProps?.["pkg.onnxscript.rewriter.rule_name"]?.includes("FuseBatchNorm")
        ? [weight]
        : [],
    isGuess: false,
    message: `${intoConvolutions}: export with optimize=False to keep it.`,
  },
  // tf2onnx calls the folded filters conv/Conv2D_weights_fused_bn
  {
    foldedIn: ({ inputs: [, weight] }) =>
      weight && /_weights_fused_bn(:0)?$/.test(weight.name ?? "") ? [weight] : [],
    isGuess: false,
    message: `${intoConvolutions}.`,
  },
  // TensorFlow: x * (scale / deviation) + (bias - mean * scale / deviation), in nodes of these names
  {
    foldedIn: (sum) => (isOp(sum, "Add") ? numbersOfTensorFlow(sum) : []),
    isGuess: false,
    message:
      "Batch normalisation is folded into the numbers of Mul and Add in this file: its statistics stay, and of its scale and bias only these numbers can be trained.",
  },
  // Keras on PyTorch: (x - mean) * (scale / deviation) + bias, whose numbers are called onnx::Sub_123
  {
    foldedIn: (node) => (isOp(node, "Add") ? normalizingNumbers(node) : []),
    isGuess: true,
    message:
      "Batch normalisation is folded into the numbers of Sub, Mul and Add in this file: its statistics stay, and its scale and bias are trained only where trainable names these numbers.",
  },
];

/** What a user should know of a file whose exporter has folded batch normalisation. */
export function foldedNormalization(source: Model | undefined): Warning[] {
  const nodes = source?.graph.nodes ?? [];
  const isLeft = nodes.some((node) => isOp(node, "BatchNormalization"));
  return foldings.flatMap(({ foldedIn, isGuess, message }) => {
    const tensors = nodes.flatMap(foldedIn).flatMap(({ name }) => name ?? []);
    if (tensors.length === 0 || (isGuess && isLeft)) return [];
    return [{ code: "batch-normalization-folded", message, tensors }];
  });
}

/** The constants of Sub, Mul and Add, one behind the other, where an exporter has made up all three. */
function normalizingNumbers(sum: Node): readonly Value[] {
  const product = makerOf(sum, "Mul");
  const difference = product && makerOf(product, "Sub");
  if (!product || !difference) return [];
  const numbers = [difference, product, sum].flatMap((node) => madeUpOf(node) ?? []);
  return numbers.length === 3 ? numbers : [];
}

/** The node of an operator that makes an input of another node. */
function makerOf({ inputs }: Node, opType: "Mul" | "Sub"): Node | undefined {
  const makers = inputs.map((input) => input?.producer);
  return makers.find((producer) => producer?.opType === opType);
}

function madeUpOf(node: Node): Value | undefined {
  return floatsOf(node).find(({ name = "" }) => name.startsWith(`onnx::${node.opType}_`));
}

/** The constants of batchnorm/mul_1 and batchnorm/add_1; a layer normalisation computes one of the two. */
function numbersOfTensorFlow(sum: Node): readonly Value[] {
  const product = makerOf(sum, "Mul");
  if (!product || !/(^|\/)batchnorm\/mul_1(?!\d)/.test(product.name)) return [];
  if (!/(^|\/)batchnorm\/add_1(?!\d)/.test(sum.name)) return [];
  const numbers = [product, sum].flatMap((node) => floatsOf(node).slice(0, 1));
  return numbers.length === 2 ? numbers : [];
}

/** The constants of floats that a node reads, single numbers left out. */
function floatsOf({ inputs }: Node): readonly Value[] {
  return inputs.filter((input): input is Value => {
    const constant = input?.constant;
    return constant?.elemType === "float" && constant.data.length > 1;
  });
}
