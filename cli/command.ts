import type { GivenSettings, SettingGroup, SettingName } from "./settings.ts";

/** A command: what the parser and the help need to know of it. Its work is loaded when it is called. */
export interface Command<K extends SettingName | SettingGroup = SettingName | SettingGroup> {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line for the list of commands. */
  readonly summary: string;
  /** Sentences for the command's own help. */
  readonly help: string;
  /** The settings that it takes, and groups of which it takes all. */
  readonly settings: readonly K[];
  /** The setting that is given without a flag. */
  readonly positional?: K & SettingName;
  /** The setting that takes all further words. */
  readonly rest?: K & SettingName;
  readonly load: () => Promise<Work<K>>;
}

/** The work of a command. */
export interface Work<K extends SettingName | SettingGroup> {
  /** Returns the exit code. */
  run(given: GivenSettings<K>): Promise<number>;
}

/** What a command's work is given. */
export type GivenOf<C> = C extends Command<infer K> ? GivenSettings<K> : never;

/** A flag as it is typed: `-x` or `--example`. */
export function flagName(key: string): string {
  return key.length === 1 ? `-${key}` : `--${key}`;
}
