/** Saves bytes as a file on the user's computer. */
export function download(name: string, bytes: Uint8Array): void {
  // without a type a browser saves the bytes as a text file
  const type = "application/octet-stream";
  const url = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
