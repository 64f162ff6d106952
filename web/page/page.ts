import type { ModelFile } from "../calls/model.ts";
import type { Messages } from "./messages.ts";
import type { Picture } from "./pictures.ts";
import type { Store } from "./state.ts";
import type { WorkerClient } from "./worker-client.ts";

/** What a tab can use: the worker, what the tabs share, and the page around it. */
export interface Page {
  readonly worker: WorkerClient;
  readonly store: Store;
  readonly messages: Messages;
  /**
   * Opens a model for all tabs; `heldOut` are pictures of its classes that it has not learnt, by their names.
   * Rejects with UserError where it cannot be opened.
   */
  openModel(file: ModelFile, heldOut?: readonly Picture[]): Promise<void>;
  /** Opens the model that is shown anew, fed in another way. Rejects as `openModel`. */
  feedModel(feeding: ModelFile["feeding"]): Promise<void>;
  showTab(id: string): void;
}
