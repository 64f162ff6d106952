import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** The data URL of a replica's script, in whose thread a session fails that copies the outputs of a step. */
export function givenArraysReplica(script: URL): URL {
  const runtime = pathToFileURL(createRequire(import.meta.url).resolve("onnxruntime-node"));
  const code = `
    const { default: { InferenceSession } } = await import(${JSON.stringify(runtime.href)});
    const create = InferenceSession.create.bind(InferenceSession);
    InferenceSession.create = async (...given) => {
      const session = await create(...given);
      const run = session.run.bind(session);
      session.run = (feeds, fetches) => {
        if (Array.isArray(fetches)) throw new Error("the outputs are copied");
        return run(feeds, fetches);
      };
      return session;
    };
    await import(${JSON.stringify(script.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
