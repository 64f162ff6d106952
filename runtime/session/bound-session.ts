import type { InferenceSession, Tensor } from "onnxruntime-common";
import { type Binding, type ControlRole, isControl, outputOf } from "../../graph-builder/bindings.ts";
import { ownEntry } from "../../graph-builder/own-entry.ts";
import type { RuntimeDevice } from "../device/device.ts";
import { cannotRun } from "../device/ort-errors.ts";
import { checkFeeds, type GraphInput, haveSizes } from "./feeds.ts";
import { forGivenArrays, type GraphOutput, runInto, zerosFor } from "./given-arrays.ts";
import type { LoweredModel } from "./lowered-models.ts";
import { expectNames, failedStep } from "./refusals.ts";
import type { Slot } from "./slot.ts";
import type { NamedTensors } from "./training-session.ts";

/** The control inputs of a step, by role. */
export type Controls = { readonly [R in ControlRole]?: Tensor };

type Place = readonly [Binding, Slot | undefined];

/** An ONNX Runtime session that reads a model's state from slots and writes the next state into them. */
export class BoundSession {
  readonly #session: InferenceSession;
  readonly #states = new Map<string, Slot>();
  readonly #controls = new Map<string, ControlRole>();
  readonly #nextStates = new Map<string, Slot>();
  /** What the buffers of gradients are fed as where they begin anew. */
  readonly #zeros: ReadonlyMap<string, Tensor>;
  /** The outputs of the gradients that are fed so. */
  readonly #begunAnew = new Set<string>();
  readonly #outputs: readonly GraphOutput[];
  readonly #ort: RuntimeDevice["ort"];
  /** Whether the session writes its outputs into arrays that it is given. */
  #writesInto: boolean;
  /** The inputs that the user feeds, in the model's order. */
  readonly inputs: readonly GraphInput[];
  /** The outputs that a run returns, in the model's order. */
  readonly outputNames: readonly string[];

  private constructor(
    session: InferenceSession,
    { inputs, outputs, addsGradients }: LoweredModel,
    places: readonly Place[],
    { ort }: Pick<RuntimeDevice, "ort">,
    writesInto: boolean,
  ) {
    this.#session = session;
    this.#ort = ort;
    this.#zeros = addsGradients ? zeroBuffers(places, ort) : new Map();
    this.#writesInto = writesInto;
    for (const [binding, slot] of places) {
      if (slot) this.#bind(binding, slot);
      else if (isControl(binding)) this.#controls.set(binding.input, binding.role);
    }
    this.inputs = inputs.filter(({ name }) => !this.#states.has(name) && !this.#controls.has(name));
    this.#outputs = outputs.filter(({ name }) => !this.#nextStates.has(name));
    this.outputNames = this.#outputs.map(({ name }) => name);
  }

  /**
   * Opens a model on a device; `slotOf` returns the slot of each binding's state. Throws UserError where the
   * device cannot run the model, and what `slotOf` throws.
   */
  static async open(
    model: LoweredModel,
    device: RuntimeDevice,
    slotOf: (binding: Binding) => Slot | undefined,
  ): Promise<BoundSession> {
    const { bytes, bindings, isLaidOut } = model;
    const places = bindings.map((binding) => [binding, slotOf(binding)] as const);
    // ONNX Runtime takes seconds to optimise a deep network in the blocked layout, and finds nothing
    const options = isLaidOut ? ({ graphOptimizationLevel: "disabled" } as const) : {};
    const states = nextStatesOf(places);
    const writesInto = device.copiesOutputs === true && states.length > 0;
    const session = await openSession(writesInto ? forGivenArrays(bytes) : bytes, device, options, states);
    return new BoundSession(session, model, places, device, writesInto);
  }

  /** The names of the inputs that the user feeds. */
  get inputNames(): readonly string[] {
    return this.inputs.map(({ name }) => name);
  }

  /** Whether the model has an input of that role. */
  takes(role: ControlRole): boolean {
    return [...this.#controls.values()].includes(role);
  }

  /** Whether feeds have the sizes of the model's inputs. */
  fits(feeds: NamedTensors): boolean {
    return haveSizes(this.inputs, feeds);
  }

  /**
   * Runs the model and writes the next states into their slots. Returns the other outputs, or those named by
   * `fetches`.
   * Throws UserError for an unknown output, for feeds that the model does not take, and where ONNX Runtime
   * fails.
   */
  async run(feeds: NamedTensors, controls: Controls, fetches?: readonly string[]): Promise<NamedTensors> {
    if (fetches !== undefined) expectNames("fetches", fetches, this.outputNames);
    const all = await this.#allFeeds(feeds, controls);
    const given = this.#writesInto ? this.#givenTensors(feeds, controls, fetches) : undefined;
    if (
      given &&
      (await runInto(this.#session, all, { ...given.results, ...Object.fromEntries(given.states) }))
    ) {
      for (const [name, tensor] of given.states) this.#nextStates.get(name)?.exchange(tensor);
      return given.results;
    }
    const results: Record<string, Tensor> = {};
    const outputs = await this.#call(all);
    if (given) this.#writesInto = false;
    for (const [name, tensor] of Object.entries(outputs)) {
      const slot = this.#nextStates.get(name);
      if (slot) slot.replace(tensor);
      else if (fetches?.includes(name) ?? true) results[name] = tensor;
    }
    return results;
  }

  /** Runs the model as `run` does and throws its outputs away, so that every state stays as it is. */
  async rehearse(feeds: NamedTensors, controls: Controls): Promise<void> {
    const outputs = await this.#call(await this.#allFeeds(feeds, controls));
    for (const tensor of Object.values(outputs)) tensor.dispose();
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  /** Puts the states that the model does not replace into the device's memory. */
  async #placeConstants(): Promise<void> {
    const replaced = new Set(this.#nextStates.values());
    for (const slot of this.#states.values()) if (!replaced.has(slot)) await slot.place();
  }

  /** Tensors for the next states and for the other outputs; undefined where the size of one is not known. */
  #givenTensors(feeds: NamedTensors, controls: Controls, fetches: readonly string[] | undefined) {
    const wanted = this.#outputs.filter(({ name }) => fetches?.includes(name) ?? true);
    const results = zerosFor(wanted, this.inputs, feeds, this.#ort);
    const isUnread = (name: string) => resetsGradients(controls) && this.#begunAnew.has(name);
    const states = [...this.#nextStates].map(
      ([name, slot]) => [name, isUnread(name) ? slot.unread : slot.spare] as const,
    );
    return results && { results, states };
  }

  async #call(feeds: Record<string, Tensor>): Promise<InferenceSession.ReturnType> {
    try {
      return await this.#session.run(feeds, [...this.#nextStates.keys(), ...this.outputNames]);
    } catch (error) {
      throw failedStep(error);
    }
  }

  /** All inputs of the session, checked, and constants in the device's memory. */
  async #allFeeds(feeds: NamedTensors, controls: Controls): Promise<Record<string, Tensor>> {
    checkFeeds(this.inputs, feeds);
    await this.#placeConstants();
    const all: Record<string, Tensor> = {};
    const zeros = resetsGradients(controls) ? this.#zeros : undefined;
    for (const name of this.#session.inputNames) {
      const role = this.#controls.get(name);
      const state = zeros?.get(name) ?? this.#states.get(name)?.tensor;
      const tensor = role ? controls[role] : (state ?? ownEntry(feeds, name));
      if (!tensor) throw new Error(`the input ${name} of the session is not fed`);
      all[name] = tensor;
    }
    return all;
  }

  #bind(binding: Binding, slot: Slot): void {
    if (binding.input !== undefined) this.#states.set(binding.input, slot);
    const output = outputOf(binding);
    if (output === undefined) return;
    this.#nextStates.set(output, slot);
    if (binding.input !== undefined && this.#zeros.has(binding.input)) this.#begunAnew.add(output);
  }
}

function resetsGradients(controls: Controls): boolean {
  return controls["reset-gradients"]?.data[0] === 1;
}

/** Zeros in the place of the float32 buffers of gradients; they share their memory. */
function zeroBuffers(places: readonly Place[], ort: RuntimeDevice["ort"]): Map<string, Tensor> {
  const buffers = places.flatMap(([{ role, input }, slot]) =>
    role === "gradient" && input !== undefined && slot?.tensor.type === "float32"
      ? [{ input, size: slot.tensor.size, dims: slot.tensor.dims }]
      : [],
  );
  const zeros = new Float32Array(Math.max(0, ...buffers.map(({ size }) => size)));
  return new Map(
    buffers.map(({ input, size, dims }) => [input, new ort.Tensor("float32", zeros.subarray(0, size), dims)]),
  );
}

/** The outputs that are next states. */
function nextStatesOf(places: readonly Place[]): string[] {
  return places.flatMap(([binding, slot]) => (slot && outputOf(binding)) ?? []);
}

/** Opens a model whose outputs `kept` stay in the device's memory. */
async function openSession(
  bytes: Uint8Array,
  device: RuntimeDevice,
  given: InferenceSession.SessionOptions,
  kept: readonly string[],
): Promise<InferenceSession> {
  const { ort, sessionOptions, memory } = device;
  const locations = memory && Object.fromEntries(kept.map((output) => [output, memory.location]));
  const options = {
    ...sessionOptions,
    ...given,
    ...(locations ? { preferredOutputLocation: locations } : {}),
  };
  try {
    return await ort.InferenceSession.create(bytes, options);
  } catch (error) {
    throw cannotRun(device, error);
  }
}
