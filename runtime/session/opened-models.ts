import type { Binding } from "../../graph-builder/bindings.ts";
import type { RuntimeDevice } from "../device/device.ts";
import { BoundSession, type Controls } from "./bound-session.ts";
import type { LoweredModel, LoweredModels } from "./lowered-models.ts";
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

  /**
   * Throws UserError where the device cannot run a model, and where the state lacks a tensor of one; the
   * sessions that were open by then are released.
   */
  static async open(
    { train, otherSizes = [], evaluate, optimize }: LoweredModels,
    device: RuntimeDevice,
    state: TrainingState,
  ): Promise<OpenedModels> {
    const opened: BoundSession[] = [];
    const open = async (model: LoweredModel, slotOf = (binding: Binding) => state.slotOf(binding)) => {
      const session = await BoundSession.open(model, device, slotOf);
      opened.push(session);
      return session;
    };
    try {
      const first = await open(train);
      const others = otherSizes.map((each) => open(each));
      // all of them have ended before one that failed ends the others
      await Promise.allSettled(others);
      return new OpenedModels(
        first,
        await Promise.all(others),
        evaluate && (await open(evaluate)),
        optimize && (await open(optimize, (binding) => state.optimizerSlotOf(binding))),
      );
    } catch (error) {
      await Promise.allSettled(opened.map((session) => session.release()));
      throw error;
    }
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
