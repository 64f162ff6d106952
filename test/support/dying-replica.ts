/** The statements by which a worker ends; `fail` answers like a session that throws. */
export const endings = {
  exit: "process.exit(7)",
  throw: 'setImmediate(() => { throw new Error("out of luck"); })',
  fail: 'post({ error: new Error("out of luck"), mistake: undefined })',
} as const;

/**
 * The data URL of a module. In the worker of a condition, by default the second replica, it replaces the
 * answer to the third call of `call` by an ending. Then it imports `script`, if one is given.
 */
export function dyingReplica(
  call: "train" | "update",
  ending: keyof typeof endings,
  script?: URL,
  condition = "threadId % 2 === 0",
): string {
  const code = `
    import { isMainThread, parentPort, threadId } from "node:worker_threads";
    if (!isMainThread && ${condition}) {
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
