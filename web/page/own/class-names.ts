const otherFolders = new Set(["__macosx", "runs", "build"]);

/** Whether `shake train --data` takes a folder of this name for no class. */
export function isOtherFolder(name: string): boolean {
  return otherFolders.has(name.toLowerCase());
}

/** Why a text is no name of a class, which is also the name of a folder; undefined where it is one. */
export function nameProblem(name: string, others: readonly string[]): string | undefined {
  if (name === "") return "Give the class a name.";
  if (/[/\\:*?"<>|\p{Cc}]/u.test(name))
    return 'A name has none of / \\ : * ? " < > |, because it becomes a folder.';
  if (name.startsWith(".") || name.endsWith(".")) return "A name neither starts nor ends with a full stop.";
  if (isOtherFolder(name)) return `${name} cannot be a class: folders of this name are left out.`;
  const isTaken = others.some((other) => other.toLowerCase() === name.toLowerCase());
  return isTaken ? `Another class is called ${name}.` : undefined;
}

/** The text without the spaces around it, and with one space in place of several. */
export function tidyName(text: string): string {
  return text.normalize("NFC").trim().replace(/\s+/g, " ");
}

/** `Class n` with the first number that is free. */
export function freeName(names: readonly string[]): string {
  for (let n = 1; ; n++) if (nameProblem(`Class ${n}`, names) === undefined) return `Class ${n}`;
}
