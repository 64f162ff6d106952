/** Runs `body` without root's power to ignore permissions. */
export async function asNobody(body: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return body();
  process.seteuid?.(65534);
  try {
    await body();
  } finally {
    process.seteuid?.(0);
  }
}
