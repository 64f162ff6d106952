import {
  appendNetwork,
  createBuilder,
  createModel,
  encodeModel,
  Graph,
  imageShape,
  type NetworkSettings,
  UserError,
} from "../graph-builder/index.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { evenMix } from "./training-model.ts";

/**
 * The trained network as one plain .onnx file: float [batch, 3, 32, 32] `images` of raw pixels 0..255 in, float
 * [batch, classes] `logits` out, alpha = 0.5 frozen, weights and normalisation inside, `metadataProps` as given beside ONNX's
 * own `Image.*` entries. Throws UserError where the checkpoint lacks a tensor of the network or has it in another shape.
 */
export function inferenceModel(
  settings: NetworkSettings,
  checkpoint: Pick<Checkpoint, "trainable" | "frozen">,
  about: { docString?: string; metadataProps?: Readonly<Record<string, string>> } = {},
): Uint8Array {
  const g = createBuilder(new Graph("shakenet"));
  const images = g.input("images", "float", ["batch", ...imageShape]);
  const logits = appendNetwork(g, images, settings, {
    isTraining: false,
    tensor: ({ name, shape }) => {
      const tensor = checkpoint.trainable.get(name) ?? checkpoint.frozen.get(name);
      if (!tensor) throw new UserError(`The checkpoint has no ${name}: it is not of this network.`);
      if (tensor.dims.join() !== shape.join()) {
        throw new UserError(
          `The checkpoint's ${name} is [${tensor.dims.join(", ")}], the network wants [${shape.join(", ")}].`,
        );
      }
      return g.constant(tensor, name);
    },
    mix: (branch1, branch2) => evenMix(g, branch1, branch2),
  });
  g.output(logits, "logits");
  const metadataProps = { ...imageMetadata, ...about.metadataProps };
  return encodeModel(createModel(g.graph, { ...about, metadataProps }));
}

/** How a picture is fed, in ONNX's own words (onnx/onnx docs/MetadataProps.md). */
const imageMetadata = {
  "Image.BitmapPixelFormat": "Rgb8",
  "Image.ColorSpaceGamma": "SRGB",
  "Image.NominalPixelRange": "NominalRange_0_255",
};
