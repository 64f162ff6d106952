/**
 * A word as a shell must be given it: in quotes where it holds a character that means something to the shell.
 */
export function quoted(word: string, platform: string = process.platform): string {
  if (platform === "win32")
    return /^[\w@%+=:,.\\/-]+$/.test(word) ? word : `"${word.replaceAll('"', '\\"')}"`;
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
