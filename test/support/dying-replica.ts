/** How a worker ends, as a statement; `fail` answers as one whose session throws. */
export const endings = {
  exit: "process.exit(7)",
  throw: 'setImmediate(() => { throw new Error("out of luck"); })',
  fail: 'post({ error: new Error("out of luck"), mistake: undefined })',
} as const;

/**
 * A module, as a data URL, after which the second replica ends in the place of an answer: of its third forward and backward pass, or
 * of its third update. `script` is the worker's own, where it is to be run behind it.
 */
export function dyingReplica(call: "train" | "update", ending: keyof typeof endings, script?: URL): string {
  const code = `
    import { isMainThread, parentPort, threadId } from "node:worker_threads";
    if (!isMainThread && threadId % 2 === 0) {
      const post = parentPort.postMessage.bind(parentPort);
      let method, calls = 0;
      const { on } = parentPort;
      parentPort.on = function (event, listener) {
        if (event !== "message") return on.call(this, event, listener);
        return on.call(this, event, (request) => { method = request.method; listener(request); });
      };
      parentPort.postMessage = (reply) => {
        if (method === "${call}" && ++calls === 3) ${endings[ending]};
        else post(reply);
      };
    }
    ${script ? `await import(${JSON.stringify(script.href)});` : ""}`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}
