/** How long the browser may take to read what it saves, in ms: Safari begins after the click. */
const READING = 60_000;

/** Saves bytes or a file on the user's computer. */
export function download(name: string, content: Uint8Array | Blob): void {
  // without a type a browser saves the bytes as a text file
  const type = "application/octet-stream";
  const blob = content instanceof Blob ? content : new Blob([new Uint8Array(content)], { type });
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), READING);
}
