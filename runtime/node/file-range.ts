import type { FileHandle } from "node:fs/promises";

/** The most bytes of one call of the system. */
const CALL = 1 << 28;

/** Fills `out` with the bytes of a file from `position` on. Returns false where the file ends before. */
export async function readRange(file: FileHandle, out: Uint8Array, position: number): Promise<boolean> {
  for (let done = 0; done < out.length; ) {
    const { bytesRead } = await file.read(out, done, Math.min(CALL, out.length - done), position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

/** Writes bytes into a file from `position` on: all of them, where the system takes a part of them a call. */
export async function writeRange(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(CALL, bytes.length - done);
    const { bytesWritten } = await file.write(bytes, done, length, position + done);
    done += bytesWritten;
  }
}
