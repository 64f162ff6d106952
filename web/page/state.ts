import type { Devices, ModelInfo } from "../protocol.ts";
import type { Picture } from "./pictures.ts";

/** What the pages share. */
export interface State {
  readonly model?: ModelInfo | undefined;
  readonly devices?: Devices | undefined;
  readonly picture?: Picture | undefined;
  /** Pictures to choose from. */
  readonly examples?: readonly Picture[] | undefined;
}

/** The shared state; whoever watches is told which of its parts have changed. */
export class Store {
  #state: State = {};
  readonly #watchers: ((state: State, changed: ReadonlySet<keyof State>) => void)[] = [];

  get state(): State {
    return this.#state;
  }

  set(changes: State): void {
    this.#state = { ...this.#state, ...changes };
    const changed = new Set(Object.keys(changes) as (keyof State)[]);
    for (const watcher of this.#watchers) watcher(this.#state, changed);
  }

  watch(watcher: (state: State, changed: ReadonlySet<keyof State>) => void): void {
    this.#watchers.push(watcher);
  }
}
