import type { CompletedCommand, CompletedFlag } from "./words.ts";

/** The names that the package installs its program under. */
const PROGRAMS = ["shake", "shakenet"] as const;

/** A completion for bash. A flag whose value is a path, and an argument, are completed as files. */
export function bashScript(commands: readonly CompletedCommand[]): string {
  const flags = commands.map(
    ({ name, flags: own }) => `    ${name}) flags="${own.map(({ flag }) => flag).join(" ")}" ;;`,
  );
  const values = commands.flatMap(({ name, flags: own, values: ofArgument }) => [
    ...own.flatMap(({ flag, values: choices }) =>
      choices && choices.length > 0 ? [`    "${name} ${flag}") words="${choices.join(" ")}" ;;`] : [],
    ),
    ...(ofArgument.length > 0 ? [`    "${name} ${name}") words="${ofArgument.join(" ")}" ;;`] : []),
  ]);
  return [
    "# completion of shake for bash: source this in ~/.bashrc",
    "_shake() {",
    `  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"`,
    `  local command="\${COMP_WORDS[1]}" flags="" words=""`,
    "  COMPREPLY=()",
    "  if [[ $COMP_CWORD -eq 1 ]]; then",
    `    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$current"))`,
    "    return",
    "  fi",
    '  case "$command" in',
    ...flags,
    "  esac",
    '  case "$command $before" in',
    ...values,
    "  esac",
    '  if [[ -n "$words" ]]; then COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '  elif [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$current"))',
    "  fi",
    "}",
    `complete -o default -o bashdefault -F _shake ${PROGRAMS.join(" ")}`,
  ].join("\n");
}

/** A completion for zsh, to source or to put into a folder of `fpath`. */
export function zshScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(({ name, flags, values }) => {
    const argument = values.length > 0 ? `:${name}:(${values.join(" ")})` : "*:file:_files";
    return `    ${name}) _arguments ${[...flags.map(zshFlag), quoted(argument)].join(" ")} ;;`;
  });
  return [
    `#compdef ${PROGRAMS.join(" ")}`,
    `compdef _shake ${PROGRAMS.join(" ")}`,
    "_shake() {",
    "  local -a commands",
    `  commands=(${commands.map(({ name, summary }) => quoted(`${name}:${summary.replaceAll(":", "\\:")}`)).join(" ")})`,
    "  if (( CURRENT == 2 )); then",
    "    _describe command commands",
    "    return",
    "  fi",
    "  shift words",
    "  (( CURRENT-- ))",
    "  case $words[1] in",
    ...cases,
    "  esac",
    "}",
    'if [[ "$funcstack[1]" == _shake ]]; then _shake "$@"; fi',
  ].join("\n");
}

function zshFlag({ flag, help, values, isPath }: CompletedFlag): string {
  const escaped = help.replaceAll(/[\\[\]:]/g, "\\$&");
  const action = isPath ? "_files" : values && values.length > 0 ? `(${values.join(" ")})` : " ";
  return quoted(`${flag}[${escaped}]${values === undefined ? "" : `:value:${action}`}`);
}

/** A completion for fish. */
export function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ name, summary, flags, values }) => {
    const inside = `-n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `-n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
      ...(values.length > 0 ? [`${inside} -f -a ${quoted(values.join(" "))}`] : []),
      ...flags.map((flag) => `${inside} ${fishFlag(flag)}`),
    ];
  });
  return PROGRAMS.flatMap((program) => lines.map((line) => `complete -c ${program} ${line}`)).join("\n");
}

function fishFlag({ flag, help, values, isPath }: CompletedFlag): string {
  const value = values === undefined ? "" : isPath ? " -r" : " -x";
  const choices = values && values.length > 0 ? ` -a ${quoted(values.join(" "))}` : "";
  return `-l ${flag.slice(2)}${value}${choices} -d ${quoted(help)}`;
}

/** A word in single quotes, as all three shells read them. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
