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

function madeUpOf({ opType, inputs }: Node): Value | undefined {
  return (
    inputs.find((input): input is Value => {
      const isFloats = input?.constant?.elemType === "float" && input.constant.data.length > 1;
      return isFloats && (input.name?.startsWith(`onnx::${opType}_`) ?? false);
    }) ?? undefined
  );
}
