import { describeSetting, kebabCase } from "../../../runtime/node/run/schema.ts";
import type { Command } from "../../command.ts";
import { schemasOf } from "../../settings.ts";

/** A flag as a shell completes it. */
export interface CompletedFlag {
  /** With its dashes. */
  readonly flag: string;
  readonly help: string;
  /** Undefined for a switch; empty where the value is a path or free. */
  readonly values: readonly string[] | undefined;
  readonly isPath: boolean;
}

/** A command as a shell completes it. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly CompletedFlag[];
  /** The values of its argument; empty where that is a path. */
  readonly values: readonly string[];
}

/** What a shell has to know of the commands. */
export function completedCommands(commands: readonly Command[]): readonly CompletedCommand[] {
  return commands.map(({ name, summary, settings, settingHelp, positional, rest }) => {
    const infos = Object.entries(schemasOf(settings)).map(([key, schema]) => {
      return { key, ...describeSetting(schema) };
    });
    const argument = infos.find(({ key }) => key === positional);
    const flags = infos
      .filter(({ key }) => key !== positional && key !== rest)
      .map(({ key, help, choices, isSwitch, isNumber }) => ({
        flag: `--${kebabCase(key)}`,
        help: settingHelp?.[key] ?? help,
        values: isSwitch ? undefined : (choices ?? []),
        isPath: !isSwitch && !isNumber && choices === undefined,
      }));
    const helpFlag = {
      flag: "--help",
      help: "show the help of the command",
      values: undefined,
      isPath: false,
    };
    return { name, summary, flags: [...flags, helpFlag], values: argument?.choices ?? [] };
  });
}
