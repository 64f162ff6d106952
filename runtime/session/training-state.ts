import type * as Ort from "onnxruntime-common";
import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { momentCounts, momentNames, nextName, Tensor } from "../../graph-builder/index.ts";
import { fromOrtTensor, toOrtTensor } from "../device/tensors.ts";

/** The input of every training model that says whether gradients start anew. */
export const RESET = "lazy_reset_grad";

/** The names that the training and the optimizer graph read and write, with their state made explicit. */
export interface StateNames {
  readonly trainInputs: readonly string[];
  readonly trainOutputs: readonly string[];
  /** None where there is no optimizer model. */
  readonly optimizerInputs: readonly string[] | undefined;
}

/** Everything that lives from step to step, by the name under which the graphs read it. */
export class TrainingState {
  readonly #tensors = new Map<string, Ort.Tensor>();
  readonly #checkpoint: Checkpoint;
  readonly #names: StateNames;
  readonly #ort: Pick<typeof Ort, "Tensor">;
  /** Optimizer steps since the first of the training. */
  steps: number;

  constructor(checkpoint: Checkpoint, names: StateNames, ort: Pick<typeof Ort, "Tensor">) {
    this.#checkpoint = checkpoint;
    this.#names = names;
    this.#ort = ort;
    this.steps = checkpoint.optimizer?.step ?? 0;
    const { trainable, frozen } = checkpoint;
    for (const [name, tensor] of [...trainable, ...frozen]) this.set(name, tensor);
    for (const [name, tensor] of trainable) this.#addCompanions(name, tensor);
  }

  get(name: string): Ort.Tensor | undefined {
    return this.#tensors.get(name);
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Gives a state other contents, which are copied. */
  set(name: string, tensor: Tensor): void {
    this.#tensors.set(name, toOrtTensor(tensor, this.#ort));
  }

  /** The state that an output of a graph is the next value of. */
  stateOf(output: string): string | undefined {
    if (this.has(output)) return output;
    const name = output.endsWith("_next") ? output.slice(0, -"_next".length) : undefined;
    return name !== undefined && this.has(name) ? name : undefined;
  }

  /** Takes a step's new value. A gradient has two names: the training model's accumulation buffer, and the optimizer's input. */
  replace(name: string, tensor: Ort.Tensor): void {
    const gradient = name.replace(BUFFER, "");
    for (const twin of [gradient, `${gradient}.accumulation.buffer`]) {
      if (twin === name || (gradient.endsWith("_grad") && this.has(twin))) this.#tensors.set(twin, tensor);
    }
  }

  /** The checkpoint's tensors that the training graph reads, in the order of its inputs. */
  parameterNames(trainableOnly: boolean): string[] {
    const { trainable, frozen } = this.#checkpoint;
    return this.#names.trainInputs.filter(
      (name) => trainable.has(name) || (!trainableOnly && frozen.has(name)),
    );
  }

  /** The tensor as a constant that shares its data until the next step. Throws Error where there is none. */
  tensor(name: string): Tensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`the session keeps no ${name}`);
    return fromOrtTensor(tensor);
  }

  /** As a checkpoint; its tensors share their data with the state until the next step. */
  checkpoint(): Checkpoint {
    const { trainable, frozen, optimizer, properties } = this.#checkpoint;
    const current = (names: Iterable<string>) => new Map([...names].map((name) => [name, this.tensor(name)]));
    const keepsOptimizer = optimizer !== undefined || this.steps > 0;
    const initialLearningRate = optimizer?.initialLearningRate ?? 0.001;
    return {
      trainable: current(trainable.keys()),
      frozen: current(frozen.keys()),
      properties: new Map(properties),
      ...(keepsOptimizer
        ? { optimizer: { step: this.steps, initialLearningRate, momenta: this.#momenta() } }
        : {}),
    };
  }

  clear(): void {
    this.#tensors.clear();
  }

  /** ONNX Runtime's SGD wants one moment a parameter, which it never touches. */
  #momenta(): Map<string, Tensor[]> {
    const { trainable, optimizer } = this.#checkpoint;
    return new Map(
      [...trainable].map(([parameter, { dims }]): [string, Tensor[]] => {
        const names = this.#momentNames(parameter);
        const untouched = optimizer?.momenta.get(parameter) ?? [zeros(dims)];
        return [parameter, names.length > 0 ? names.map((name) => this.tensor(name)) : untouched];
      }),
    );
  }

  /** A trained parameter's gradient and moments. */
  #addCompanions(parameter: string, { dims }: Tensor): void {
    const buffer = `${parameter}_grad.accumulation.buffer`;
    if (this.#names.trainOutputs.includes(nextName(buffer))) this.set(buffer, zeros(dims));
    this.set(`${parameter}_grad`, zeros(dims));
    for (const [i, moment] of this.#momentNames(parameter).entries()) {
      this.set(moment, this.#checkpoint.optimizer?.momenta.get(parameter)?.[i] ?? zeros(dims));
    }
  }

  /** The moments that the optimizer model keeps for a parameter. */
  #momentNames(parameter: string): string[] {
    const inputs = this.#names.optimizerInputs ?? [];
    const counts = Object.values(momentCounts).sort((a, b) => b - a);
    const count = counts.find((n) => momentNames(parameter, n).every((name) => inputs.includes(name))) ?? 0;
    return momentNames(parameter, count);
  }
}

const BUFFER = /\.accumulation\.buffer$/;

function zeros(dims: readonly number[]): Tensor {
  return new Tensor("float", dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)));
}
