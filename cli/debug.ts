import { didYouMean, UserError } from "../graph-builder/errors.ts";

type Write = (line: string) => void;

/** The topics of SHAKE_DEBUG. The code of a topic is loaded on demand. */
const topics = new Map<string, (write: Write) => Promise<unknown>>([
  ["passes", async (write) => (await import("../runtime/measure/pass-trace.ts")).tracePasses(write)],
]);

/**
 * Starts the reports of a comma-separated list of topics. Throws UserError for a topic that does not exist.
 */
export async function startDebugging(list: string | undefined, write: Write): Promise<void> {
  for (const name of (list ?? "").split(",").filter((topic) => topic !== "")) {
    const start = topics.get(name);
    if (!start) {
      const known = [...topics.keys()];
      const hint = didYouMean(name, known) || ` It knows ${known.join(", ")}.`;
      throw new UserError(`SHAKE_DEBUG has no topic ${name}.${hint}`, { code: "setting-unknown" });
    }
    await start(write);
  }
}
