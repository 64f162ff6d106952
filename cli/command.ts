import type { GivenSettings, SettingGroup, SettingName } from "./settings.ts";

/** A command as the parser and the help need it. Its code is loaded when it is called. */
export interface Command<K extends SettingName | SettingGroup = SettingName | SettingGroup> {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line for the list of commands. */
  readonly summary: string;
  /** Sentences for the command's own help. */
  readonly help: string;
  /** The command's settings, and groups of settings that it takes whole. */
  readonly settings: readonly K[];
  /** The help of settings that mean something else, or have other defaults, in this command. */
  readonly settingHelp?: Readonly<Record<string, string>>;
  /** The setting that is given without a flag. */
  readonly positional?: K & SettingName;
  /** The setting that takes all further arguments. */
  readonly rest?: K & SettingName;
  /** Whether the setting without a flag, and the further arguments, may be left out. */
  readonly isBare?: boolean;
  /** Whether processes that mpirun or srun has started do the command's work together. */
  readonly joinsRanks?: boolean;
  readonly load: () => Promise<Work<K>>;
}

/** The work of a command. */
export interface Work<K extends SettingName | SettingGroup> {
  /** Returns the exit code. */
  run(given: GivenSettings<K>): Promise<number>;
}

/** The settings that a command's work is called with. */
export type GivenOf<C> = C extends Command<infer K> ? GivenSettings<K> : never;

/** A flag as it is typed: `-x` or `--example`. */
export function flagName(key: string): string {
  return key.length === 1 ? `-${key}` : `--${key}`;
}

/**
 * The arguments with the words after `--`, which are paths, in a form that cannot be taken for flags:
 * `--x.png` is `./--x.png`.
 */
export function withPlainPaths(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  if (end < 0) return [...args];
  const paths = args.slice(end + 1).map((word) => (word.startsWith("-") ? `./${word}` : word));
  return [...args.slice(0, end), ...paths];
}
