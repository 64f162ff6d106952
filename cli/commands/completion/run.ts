import { UserError } from "../../../graph-builder/errors.ts";
import { commands } from "../../command-line.ts";
import { print } from "../../terminal.ts";
import type { CompletionGiven } from "./command.ts";
import { bashScript, fishScript, zshScript } from "./scripts.ts";
import { completedCommands } from "./words.ts";

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

export async function run({ shell }: CompletionGiven): Promise<number> {
  if (shell === undefined)
    throw new UserError("shake completion needs a shell.", { code: "setting-missing" });
  print(scripts[shell](completedCommands(commands)));
  return 0;
}
