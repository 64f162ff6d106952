import { joinAverages, splitAverages } from "../../artifacts/averages.ts";
import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { type Binding, isControl } from "../../graph-builder/bindings.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { Tensor } from "../../graph-builder/tensor.ts";
import { RandomDraws } from "./random-draws.ts";
import { type Home, Slot } from "./slot.ts";
import { type AverageStep, averagedNames, WeightAverages } from "./weight-averages.ts";

/** The parts of the training and the optimizer graph that the state depends on. */
export interface StateUse {
  /** The inputs of the training graph, in order. */
  readonly trainingInputs: readonly string[];
  /** The bindings of the training graph. */
  readonly training: readonly Binding[];
  /** The bindings of the optimizer graph; undefined where there is no optimizer model. */
  readonly optimizer: readonly Binding[] | undefined;
}

/**
 * All tensors that are kept from step to step: the checkpoint's, and the gradient and moments of each trained
 * parameter.
 */
export class TrainingState {
  readonly #checkpoint: Checkpoint;
  readonly #trainingInputs: readonly string[];
  readonly #home: Home;
  readonly #tensors = new Map<string, Slot>();
  readonly #gradients = new Map<string, Slot>();
  /** The moments that the optimizer model updates, by parameter. */
  readonly #moments = new Map<string, Slot[]>();
  readonly #averages: WeightAverages;
  /** The tensors that averages are kept of: parameters and running statistics. */
  readonly #averaged: readonly string[];
  /** What the training graph's random numbers depend on. */
  readonly draws: RandomDraws;
  /** The number of optimizer steps since the start of the training. */
  steps: number;

  constructor(given: Checkpoint, use: StateUse, home: Home) {
    const { checkpoint, averages } = splitAverages(given);
    this.#checkpoint = checkpoint;
    this.#averages = new WeightAverages(averages);
    this.#averaged = averagedNames(use.training);
    this.draws = new RandomDraws(checkpoint.properties, use.training);
    this.#trainingInputs = use.trainingInputs;
    this.#home = home;
    this.steps = checkpoint.optimizer?.step ?? 0;
    const { trainable, frozen } = checkpoint;
    for (const [name, tensor] of [...trainable, ...frozen]) this.#tensors.set(name, this.#slot(tensor));
    for (const [name, { dims }] of trainable) this.#gradients.set(name, this.#slot(zeros(dims)));
    for (const binding of use.optimizer ?? []) {
      if (binding.role === "moment") this.#addMoment(binding.parameter, binding.index);
    }
  }

  /**
   * The slot of a binding of a training or evaluation graph; undefined for an input that is no state. The
   * moments of such a graph are tensors of the checkpoint. Throws UserError where the checkpoint has no such
   * tensor.
   */
  slotOf(binding: Binding): Slot | undefined {
    if (isControl(binding)) return undefined;
    if (binding.role === "gradient") return this.gradient(binding.parameter);
    return expectSlot(this.#tensors, binding.input);
  }

  /**
   * The slot of a binding of an optimizer graph; its moments are the optimizer's state. Throws UserError as
   * slotOf does.
   */
  optimizerSlotOf(binding: Binding): Slot | undefined {
    if (binding.role !== "moment") return this.slotOf(binding);
    return this.#moments.get(binding.parameter)?.[binding.index];
  }

  /**
   * The slot of a trained parameter's gradient. Throws UserError where the checkpoint has no such parameter.
   */
  gradient(parameter: string): Slot {
    return expectSlot(this.#gradients, parameter);
  }

  /** The checkpoint's tensors that the training graph reads, in the order of its inputs. */
  parameterNames(trainableOnly: boolean): string[] {
    const { trainable, frozen } = this.#checkpoint;
    return this.#trainingInputs.filter((name) => trainable.has(name) || (!trainableOnly && frozen.has(name)));
  }

  /** The slot of a tensor of the checkpoint. Throws UserError where there is none. */
  slot(name: string): Slot {
    return expectSlot(this.#tensors, name);
  }

  /** Lets the averages follow the tensors, or those of them that `isAveraged` accepts. */
  async average(step: AverageStep, isAveraged: (name: string) => boolean = () => true): Promise<void> {
    const names = this.#averaged.filter(isAveraged);
    const tensors = await Promise.all(
      names.map(async (name) => [name, await this.slot(name).peek()] as const),
    );
    this.#averages.follow(tensors, step);
  }

  /** The state as a checkpoint, whose tensors share their data with the state until the next step. */
  async checkpoint(): Promise<Checkpoint> {
    const { trainable, frozen, optimizer, properties } = this.#checkpoint;
    const keepsOptimizer = optimizer !== undefined || this.steps > 0;
    const initialLearningRate = optimizer?.initialLearningRate ?? 0.001;
    const checkpoint = {
      trainable: await this.#read(trainable.keys()),
      frozen: await this.#read(frozen.keys()),
      properties: new Map([...properties, ...this.draws.properties()]),
      ...(keepsOptimizer
        ? { optimizer: { step: this.steps, initialLearningRate, momenta: await this.#momenta() } }
        : {}),
    };
    return joinAverages({ checkpoint, averages: this.#averages.tensors });
  }

  clear(): void {
    const moments = [...this.#moments.values()].flat();
    for (const slot of [...this.#tensors.values(), ...this.#gradients.values(), ...moments]) slot.clear();
    for (const slots of [this.#tensors, this.#gradients, this.#moments]) slots.clear();
  }

  /** ONNX Runtime's SGD requires one moment per parameter, which it neither reads nor writes. */
  async #momenta(): Promise<Map<string, Tensor[]>> {
    const { trainable, optimizer } = this.#checkpoint;
    const all = new Map<string, Tensor[]>();
    for (const [parameter, { dims }] of trainable) {
      const slots = this.#moments.get(parameter);
      const moments = slots && (await Promise.all(slots.map((slot) => slot.read())));
      all.set(parameter, moments ?? optimizer?.momenta.get(parameter) ?? [zeros(dims)]);
    }
    return all;
  }

  async #read(names: Iterable<string>): Promise<Map<string, Tensor>> {
    const read = [...names].map(async (name) => [name, await this.slot(name).read()] as const);
    return new Map(await Promise.all(read));
  }

  #addMoment(parameter: string, index: number): void {
    const moments = this.#moments.get(parameter) ?? [];
    const { dims } = this.slot(parameter).tensor;
    moments[index] = this.#slot(this.#checkpoint.optimizer?.momenta.get(parameter)?.[index] ?? zeros(dims));
    this.#moments.set(parameter, moments);
  }

  #slot(tensor: Tensor): Slot {
    return new Slot(tensor, this.#home);
  }
}

function expectSlot(slots: ReadonlyMap<string, Slot>, name: string): Slot {
  const slot = slots.get(name);
  if (slot) return slot;
  throw new UserError(`The checkpoint has no parameter ${name}, which the models read.`, {
    code: "parameter-unknown",
    details: { parameter: name },
  });
}

function zeros(dims: readonly number[]): Tensor {
  return new Tensor("float", dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)));
}
