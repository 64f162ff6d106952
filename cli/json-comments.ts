/**
 * A text of JSON with comments (`//` and `/* *\/`) and commas behind the last entries, as plain JSON: spaces
 * stand in place of them, so that lines and columns in messages stay right. Other texts are returned as they
 * are.
 */
export function withoutComments(text: string): string {
  const blank = (part: string) => part.replaceAll(/[^\r\n]/g, " ");
  const plain = text.replaceAll(/"(?:[^"\\]|\\.)*"|\/\/[^\r\n]*|\/\*[\s\S]*?\*\//g, (part) =>
    part.startsWith('"') ? part : blank(part),
  );
  return plain.replaceAll(/"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])/g, (part) => (part === "," ? " " : part));
}
