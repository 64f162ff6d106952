/**
 * A glob as an expression over a whole text: `*` stands for any text, dots and slashes among it, and `?` for
 * one character.
 */
export function globExpression(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`, "s");
}
