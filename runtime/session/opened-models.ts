import type { Binding } from "../../graph-builder/bindings.ts";
import type { RuntimeDevice } from "../device/device.ts";
import { BoundSession, type Controls } from "./bound-session.ts";
import type { LoweredModels } from "./lowered-models.ts";
import type { NamedTensors } from "./training-session.ts";
import type { TrainingState } from "./training-state.ts";

/** The models of a training, open on a device and bound to its state. */
export class OpenedModels {
  readonly train: BoundSession;
  readonly #otherSizes: readonly BoundSession[];
  readonly evaluate: BoundSession | undefined;
  readonly optimize: BoundSession | undefined;

  private constructor(
    train: BoundSession,
    otherSizes: readonly BoundSession[],
    evaluate: BoundSession | undefined,
    optimize: BoundSession | undefined,
  ) {
    this.train = train;
    this.#otherSizes = otherSizes;
    this.evaluate = evaluate;
    this.optimize = optimize;
  }

  /** Throws UserError where the device cannot run a model, and where the state lacks a tensor of one. */
  static async open(
    { train, otherSizes = [], evaluate, optimize }: LoweredModels,
    device: RuntimeDevice,
    state: TrainingState,
  ): Promise<OpenedModels> {
    const slotOf = (binding: Binding) => state.slotOf(binding);
    return new OpenedModels(
      await BoundSession.open(train, device, slotOf),
      await Promise.all(otherSizes.map((each) => BoundSession.open(each, device, slotOf))),
      evaluate && (await BoundSession.open(evaluate, device, slotOf)),
      optimize && (await BoundSession.open(optimize, device, (binding) => state.optimizerSlotOf(binding))),
    );
  }

  /** The training model for the sizes of the feeds. */
  trainingFor(feeds: NamedTensors): BoundSession {
    return this.#otherSizes.find((each) => each.fits(feeds)) ?? this.train;
  }

  /** Runs the training model and the optimizer model once and throws their outputs away. */
  async rehearse(feeds: NamedTensors, controls: Controls): Promise<void> {
    await this.trainingFor(feeds).rehearse(feeds, controls);
    await this.optimize?.rehearse({}, controls);
  }

  async release(): Promise<void> {
    for (const session of [this.train, ...this.#otherSizes, this.evaluate, this.optimize]) {
      await session?.release();
    }
  }
}
