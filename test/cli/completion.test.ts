import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commands } from "../../cli/command-line.ts";
import { bashScript, fishScript, zshScript } from "../../cli/commands/completion/scripts.ts";
import { completedCommands } from "../../cli/commands/completion/words.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const completed = completedCommands(commands);
const [bash, zsh, fish] = ["shake.bash", "_shake", "shake.fish"].map((name) => join(folder, name));
writeFileSync(bash ?? "", `${bashScript(completed)}\n`);
writeFileSync(zsh ?? "", `${zshScript(completed)}\n`);
writeFileSync(fish ?? "", `${fishScript(completed)}\n`);

function has(program: string): boolean {
  try {
    execFileSync(program, ["-c", "true"]);
    return true;
  } catch {
    return false;
  }
}

/** What bash offers for the last of some words. */
function offeredByBash(...words: string[]): string[] {
  const script = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shake; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", script, "bash", bash ?? "", ...words], { encoding: "utf8" })
    .trim()
    .split("\n");
}

test.skipIf(!has("bash"))("bash completes commands, flags and their values", () => {
  expect(offeredByBash("shake", "tr")).toEqual(["train"]);
  expect(offeredByBash("shake", "")).toEqual([...commands.map(({ name }) => name), "--help", "--version"]);
  expect(offeredByBash("shake", "train", "--max")).toEqual(["--max-time"]);
  expect(offeredByBash("shake", "train", "--schedule", "c")).toEqual(["cosine", "constant"]);
  expect(offeredByBash("shake", "eval", "--checkpoint", "")).toEqual(["last", "best"]);
  expect(offeredByBash("shake", "completion", "")).toEqual(["bash", "zsh", "fish"]);
  // nothing of ours: bash completes files
  expect(offeredByBash("shake", "predict", "mod")).toEqual([""]);
  expect(offeredByBash("shake", "train", "--data", "")).toEqual([""]);
});

test.skipIf(!has("zsh"))("zsh reads its script", () => {
  const script = `autoload -Uz compinit; compinit -u -D; source "$1"; print \${+functions[_shake]} $_comps[shakenet]`;
  const out = execFileSync("zsh", ["-f", "-c", script, "zsh", zsh ?? ""], { encoding: "utf8" });
  expect(out.trim()).toBe("1 _shake");
});

test.skipIf(!has("fish"))("fish completes commands, flags and their values", () => {
  const offered = (line: string) =>
    execFileSync("fish", ["--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, fish ?? "", line], {
      encoding: "utf8",
    })
      .trim()
      .split("\n")
      .map((each) => each.split("\t")[0]);
  expect(offered("shake tr")).toEqual(["train"]);
  expect(offered("shakenet train --max")).toEqual(["--max-time"]);
  expect(offered("shake train --schedule c")).toEqual(["constant", "cosine"]);
});

test("every flag of every command is in all three scripts, and the command prints them", async () => {
  const printed = await shake(folder, "completion", "zsh");
  expect(printed).toEqual({ code: 0, stderr: "", stdout: `${zshScript(completed)}\n` });
  for (const { name, flags } of completed) {
    for (const { flag } of flags) {
      expect(printed.stdout, `${name} ${flag}`).toContain(`'${flag}[`);
      expect(fishScript(completed)).toContain(`from ${name}' -l ${flag.slice(2)} `);
      expect(bashScript(completed)).toMatch(new RegExp(`^ {4}${name}\\) flags=".*${flag}[ "]`, "m"));
    }
  }
});
