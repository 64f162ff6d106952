import type { Tensor } from "onnxruntime-common";
import { restoreModel } from "../../artifacts/restore.ts";
import { decodeModel, type InputSizes } from "../../graph-builder/index.ts";
import type { Device } from "../device/device.ts";
import { freezeModel } from "../inference/freeze-model.ts";
import { type CompileCache, compiled } from "./compile-cache.ts";
import { decodeArtifacts, lowerModels, readArtifacts } from "./lowered-models.ts";
import { LoweredSession, type SessionParts } from "./lowered-session.ts";
import { expectOpenDevice, missingModel } from "./refusals.ts";
import type { TrainingSessionCreateOptions, TrainingSources } from "./sources.ts";

/** Tensors by the name of the graph's input or output. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** What a session exports: its eval model, and the file that the model came from. */
type ExportedFiles = Pick<TrainingSources<Uint8Array>, "evalModel" | "sourceModel">;

/** The settings of a training session. */
export interface TrainingSessionOptions {
  /**
   * Sizes of the training model's inputs where they are free. The model is lowered for each of them, which
   * makes faster steps than a free size, and every step takes the one that its feeds have.
   */
  readonly inputSizes?: readonly InputSizes[] | undefined;
  /** Keeps the lowered models for the next session of the same artifacts; none where left out. */
  readonly cache?: CompileCache | undefined;
}

/**
 * Trains ONNX Runtime training artifacts, ours or those of Python's `generate_artifacts`, on any execution
 * provider: every training operator is lowered to ordinary ones when the session opens. The interface is that
 * of onnxruntime-common 1.19, with feeds by name and further methods. Parameters, running statistics,
 * gradients and momenta stay in the session between steps. Calls that overlap are refused, and so is every
 * call after the release.
 */
export class TrainingSession extends LoweredSession {
  readonly #files: ExportedFiles;

  private constructor({ evalModel, sourceModel }: ExportedFiles, parts: SessionParts) {
    super(parts);
    this.#files = { evalModel, sourceModel };
  }

  /**
   * Opens artifacts on a device; they may be given by ONNX Runtime's names too. Throws UserError where a file
   * is damaged, where an operator is not covered (naming its node), or where the device cannot run the graph.
   */
  static async create(
    sources: TrainingSources | TrainingSessionCreateOptions,
    device: Device,
    { inputSizes, cache }: TrainingSessionOptions = {},
  ): Promise<TrainingSession> {
    expectOpenDevice(device);
    const artifacts = await readArtifacts(sources);
    const addsGradients = device.copiesOutputs;
    const compiling = { cache, kind: "session", settings: { inputSizes, addsGradients } };
    const models = await compiled(artifacts, device, compiling, () =>
      lowerModels(decodeArtifacts(artifacts), device.lowering, inputSizes, { addsGradients }),
    );
    const { files, checkpoint } = artifacts;
    return new TrainingSession(files, await TrainingSession.openParts(models, checkpoint, device));
  }

  /**
   * The file that the model came from, with the current parameters and running statistics: the same inputs,
   * outputs, opset, names and metadata. Throws UserError where the artifacts have no `source.onnx`.
   */
  async exportModel(): Promise<Uint8Array> {
    this.expectOpen("exportModel");
    const { sourceModel } = this.#files;
    if (!sourceModel) throw missingModel("source");
    return restoreModel(sourceModel, await this.checkpoint());
  }

  /**
   * The eval model, cut to some values and the nodes that they need, with the current parameters as
   * initializers: a plain .onnx. A name is that of an output, or of any value inside the model.
   * Throws UserError without an eval model, and for an unknown name.
   */
  async exportInferenceModel(outputNames: readonly string[]): Promise<Uint8Array> {
    this.expectOpen("exportInferenceModel");
    const { evalModel } = this.#files;
    if (!evalModel) throw missingModel("eval");
    const model = decodeModel(evalModel, "eval_model.onnx");
    return freezeModel(model, await this.checkpoint(), outputNames);
  }
}
