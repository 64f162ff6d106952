import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { UserError } from "../../graph-builder/index.ts";
import { studies } from "./studies.ts";

/** What `npm run bench:accuracy` is asked for. */
export interface AccuracyOptions {
  /** The name of a study. */
  readonly study: string;
  readonly seeds: number;
  /** Trainings at once, each on one core. */
  readonly atOnce: number;
  readonly folder: string;
  readonly dataDir: string | undefined;
  readonly python: string;
}

const names = Object.keys(studies).join(", ");

export const usage = `npm run bench:accuracy -- STUDY [flags]  train the networks of a study: ${names}

  --seeds N        seeds of each training [default: 3]
  --at-once N      trainings at once, each on one core [default: all cores]
  --folder FOLDER  where trainings and figures are kept [default: runs/accuracy]
  --data-dir DIR   folder with the files of CIFAR-10
  --python FILE    Python with PyTorch, for torch-curves [default: .venv/bin/python]`;

/**
 * Reads the command line. Returns undefined where it asks for help. Throws UserError where it does not name
 * one study, or has a wrong number.
 */
export function readOptions(args: readonly string[]): AccuracyOptions | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const [study = "", ...others] = positionals;
  if (others.length > 0)
    throw new UserError(`Name one study, not ${positionals.join(" and ")}.`, { code: "argument-unexpected" });
  if (!Object.hasOwn(studies, study)) {
    const what = study === "" ? "Name a study" : `${study} is no study`;
    throw new UserError(`${what}: ${names}.`, { code: "setting-invalid" });
  }
  const count = (flag: "seeds" | "at-once") => {
    if (/^[1-9]\d{0,3}$/.test(values[flag])) return Number(values[flag]);
    const sentence = `--${flag} must be a whole number from 1, not ${values[flag]}.`;
    throw new UserError(sentence, { code: "setting-invalid" });
  };
  const { folder, python, "data-dir": dataDir } = values;
  return { study, seeds: count("seeds"), atOnce: count("at-once"), folder, dataDir, python };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        seeds: { type: "string", default: "3" },
        "at-once": { type: "string", default: String(availableParallelism()) },
        folder: { type: "string", default: "runs/accuracy" },
        "data-dir": { type: "string" },
        python: { type: "string", default: ".venv/bin/python" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { code: "setting-unknown" });
  }
}
