/** How long a reload may take to let go of what the page before it held, in ms. */
const RELOAD = 1000;

/** The names that this window holds. */
const held = new Set<string>();

/**
 * Resolves once no other window of the browser holds what has this name; this one then holds it until it is
 * closed or reloaded. `onWait` is called where that takes long.
 */
export async function oneWindow(name: string, onWait: () => void): Promise<void> {
  // a page that is served without encryption to another machine has no locks
  if (!isSecureContext || held.has(name)) return;
  const waiting = setTimeout(onWait, RELOAD);
  await new Promise<void>((resolve, reject) => {
    const hold = () => {
      held.add(name);
      resolve();
      return new Promise<never>(() => undefined);
    };
    navigator.locks.request(name, hold).catch(reject);
  }).finally(() => clearTimeout(waiting));
}
