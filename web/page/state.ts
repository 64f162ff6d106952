import type { Devices, ModelInfo } from "../calls/model.ts";
import type { Picture } from "./pictures.ts";

/** The state that the tabs share. */
export interface State {
  readonly model?: ModelInfo | undefined;
  readonly devices?: Devices | undefined;
  readonly picture?: Picture | undefined;
  /** Whether the user chose the picture. */
  readonly isPictureChosen?: boolean | undefined;
  /** The test picture whose most probable class is the least probable. */
  readonly leastCertain?: Picture | undefined;
  /** The test pictures that the page shows. */
  readonly examples?: readonly Picture[] | undefined;
  /** The test pictures that came with the model: those of one's own that it has not learnt. */
  readonly heldOut?: readonly Picture[] | undefined;
}

/** Holds the shared state. A watcher gets the state and the parts that changed. */
export class Store {
  #state: State = {};
  readonly #watchers: ((state: State, changes: State) => void)[] = [];

  get state(): State {
    return this.#state;
  }

  set(changes: State): void {
    this.#state = { ...this.#state, ...changes };
    for (const watcher of this.#watchers) watcher(this.#state, changes);
  }

  watch(watcher: (state: State, changes: State) => void): void {
    this.#watchers.push(watcher);
  }
}
