/** The compiler: ONNX's intermediate representation, operators, autodiff, lowerings. */
export { type AppendOptions, appendGraph, nodesFor, partFor } from "./append-graph.ts";
export { at } from "./at.ts";
export { appendGradients, propagateGradients, stopsGradient } from "./autodiff/autodiff.ts";
export { detach } from "./autodiff/detach.ts";
export { type GradientsOptions, gradients, type ValueReference } from "./autodiff/gradient-model.ts";
export {
  type Backward,
  type Gradient,
  type GradientRule,
  gradients as gradientRules,
  type Propagate,
} from "./autodiff/gradients/index.ts";
export * from "./bindings.ts";
export { type Builder, createBuilder, type Given, GraphBuilder, type OperatorMethods } from "./builder.ts";
export { checkGraph, GraphError } from "./checker.ts";
export { type Cost, type Count, costOf, type FlopsRule, flopsOf } from "./cost.ts";
export { DRAWN_BITS, type Draw, drawnBits } from "./counter-hash.ts";
export { type GradientCoverage, gradientCoverage, type RefusedNode } from "./coverage.ts";
export { bindingsOf, deriveBindings, type ModelKind, type TensorNames } from "./derived-bindings.ts";
export * from "./dims.ts";
export { toDot } from "./dot.ts";
export { didYouMean, type ErrorCode, type ErrorData, nearestName, UserError } from "./errors.ts";
export {
  appendBody,
  defineFunction,
  type FunctionSpec,
  type NamesOf,
  type Signature,
  type ValuesOf,
} from "./functions.ts";
export { globExpression } from "./glob.ts";
export { type IndexRange, indexRanges } from "./index-ranges.ts";
export {
  createModel,
  type FunctionDefinition,
  Graph,
  hasGraph,
  isOp,
  type Model,
  Node,
  type Notes,
  type Phase,
  Subgraph,
  type Use,
  Value,
} from "./ir.ts";
export { identityOf, type LoweringName, loweringNames, loweringOf } from "./lowerings/index.ts";
export { type Call, type Lower, type Lowering, layer, lower } from "./lowerings/lower.ts";
export { portable } from "./lowerings/portable.ts";
export { freeName, givenNames, nameOf, nameValues } from "./names.ts";
export { type ChunkNames, chunkNames, encodeChunk, STEPS } from "./onnx/chunk.ts";
export { type DecodeOptions, decodeModel } from "./onnx/decode.ts";
export { type ExternalData, externalLocations, withDataInside } from "./onnx/external-data.ts";
export { withMetadata } from "./onnx/file-metadata.ts";
export { withElements, withoutElements } from "./onnx/file-tensors.ts";
export { withInferenceLayers } from "./onnx/inference-layers.ts";
export { decodeMetadata } from "./onnx/metadata.ts";
export { type EncodingOptions, encodeModel } from "./onnx/model.ts";
export { decodeOutline, type Outline } from "./onnx/outline.ts";
export { withOwnStatistics } from "./onnx/own-statistics.ts";
export { type Reshaping, withReshapedTensors } from "./onnx/reshaped-tensors.ts";
export type * from "./onnx/schema.ts";
export { dataTypeNumbers } from "./operators/elementwise.ts";
export {
  type AnyAttributes,
  type AnyInputs,
  type AnyOperator,
  type Attributes,
  type FunctionType,
  type OpType,
  operators,
} from "./operators/index.ts";
export type { KeptForm } from "./operators/kept.ts";
export type * from "./operators/schema.ts";
export { ShapeError, UnsupportedError } from "./operators/schema.ts";
export type { ClippingSettings } from "./optimizers/clipping.ts";
export type { GroupSettings, ParameterGroups } from "./optimizers/groups.ts";
export type { MuonSettings } from "./optimizers/muon.ts";
export * from "./optimizers/rules.ts";
export * from "./optimizers/step-graph.ts";
export * from "./optimizers/training-outputs.ts";
export { addedGradients } from "./passes/added-gradients.ts";
export { explicitBindings, explicitState, withExplicitState } from "./passes/explicit-state.ts";
export { freezeInputs } from "./passes/freeze-inputs.ts";
export * from "./passes/fused-step/index.ts";
export { foldBatchNormalization } from "./passes/inference/fold-batch-normalization.ts";
export { foldCrop } from "./passes/inference/fold-crop.ts";
export { foldScale } from "./passes/inference/fold-scale.ts";
export { joinConvolutions } from "./passes/inference/join-convolutions.ts";
export { mergeBranches } from "./passes/inference/merge-branches.ts";
export { type Precision, withPrecision } from "./passes/inference/precision.ts";
export { quantize, type Range } from "./passes/inference/quantize.ts";
export { inlineFunctions } from "./passes/inline-functions.ts";
export { bfloat16Precision, LOSS_SCALE, mixedPrecision } from "./passes/mixed-precision.ts";
export { observePasses, type Pass, type PassObserver, runPasses } from "./passes/pass.ts";
export { rankedScalars } from "./passes/ranked-scalars.ts";
export { removeDeadCode } from "./passes/remove-dead-code.ts";
export { copyGraph, neededNodes, type Rewrite, rewriteGraph } from "./passes/rewrite.ts";
export { type InputSizes, sizedInputs } from "./passes/sized-inputs.ts";
export { type TrainingForm, type TrainingFormOptions, trainingForm } from "./passes/training-form.ts";
export {
  inferencePasses,
  lowerGraph,
  loweringPasses,
  simplifyForInference,
  trainingPasses,
} from "./pipelines.ts";
export { type PrintOptions, printGraph, printModel } from "./printer.ts";
export { philox4x32, RandomStream } from "./random.ts";
export { floats, int64s, type NumericType, Tensor } from "./tensor.ts";
export * from "./types.ts";
export { shown } from "./visible.ts";
