import type { Command, GivenOf } from "../../command.ts";

const settings = ["shell"] as const;

/** `shake completion`: a script that completes commands, flags and their values in a shell. */
export const completionCommand: Command<(typeof settings)[number]> = {
  name: "completion",
  summary: "print a script that completes commands and flags in bash, zsh or fish",
  help: "Prints a script for a shell, which completes commands, flags, their choices and files. In bash: source <(shake completion bash), in ~/.bashrc. In zsh: source <(shake completion zsh), in ~/.zshrc after compinit. In fish: shake completion fish > ~/.config/fish/completions/shake.fish.",
  settings,
  positional: "shell",
  load: () => import("./run.ts"),
};

export type CompletionGiven = GivenOf<typeof completionCommand>;
