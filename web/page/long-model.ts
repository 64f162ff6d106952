import { UserError } from "../../graph-builder/errors.ts";
import { find } from "./dom.ts";
import type { WorkerClient } from "./worker-client.ts";

/** The milliseconds after which a model that computes is said to take long. */
const LONG = 4000;

/**
 * Says where a model takes long, and offers to stop it: native code cannot be stopped, so its worker is ended
 * and started anew. `onStop` is called then. What is downloaded counts as no computation.
 */
export function watchLongModels(worker: WorkerClient, onStop: () => void): void {
  const note = find("long-model", HTMLDivElement);
  let downloaded = performance.now();
  worker.listen(({ type }) => {
    if (type === "download") downloaded = performance.now();
  });
  setInterval(() => {
    const busy = Math.min(worker.busyMs, performance.now() - downloaded);
    note.hidden = busy < LONG;
    const text = note.querySelector("p");
    if (text && busy >= LONG) text.textContent = `The model has computed for ${Math.floor(busy / 1000)} s.`;
  }, 500);
  note.querySelector("button")?.addEventListener("click", () => {
    note.hidden = true;
    worker.restart(new UserError("The model was stopped.", { code: "interrupted" }));
    onStop();
  });
}
