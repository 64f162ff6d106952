import { UserError } from "../../graph-builder/errors.ts";

/** Refuses calls to a session that overlap, or lets them wait, and refuses calls after its release. */
export class CallGuard {
  #running: { readonly call: string; readonly end: Promise<unknown> } | undefined;
  #isReleased = false;

  /** Runs a call. Throws UserError while another one is under way, and after the release. */
  async run<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.expectIdle(call);
    const result = work();
    this.#running = { call, end: result };
    try {
      return await result;
    } finally {
      this.#running = undefined;
    }
  }

  /** Runs a call after those that were made before it. Throws UserError after the release. */
  async enqueue<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.expectOpen(call);
    const before = this.#running?.end;
    const result = (async () => {
      await before?.catch(() => undefined);
      return work();
    })();
    this.#running = { call, end: result };
    try {
      return await result;
    } finally {
      if (this.#running?.end === result) this.#running = undefined;
    }
  }

  /** Throws UserError while a call is under way, and after the release. */
  expectIdle(call: string): void {
    this.expectOpen(call);
    if (!this.#running) return;
    const running = this.#running.call;
    throw new UserError(`${running} is under way: wait for it before you call ${call}.`, {
      code: "session-busy",
      details: { call, running },
    });
  }

  /** Throws UserError after the release. */
  expectOpen(call: string): void {
    if (!this.#isReleased) return;
    throw new UserError(`The session was released: ${call} cannot be called any more.`, {
      code: "session-released",
      details: { call },
    });
  }

  /**
   * Refuses all further calls and waits for the one under way, whether it fails or not. Throws UserError on a
   * second call.
   */
  async close(): Promise<void> {
    this.expectOpen("release");
    this.#isReleased = true;
    await this.#running?.end.catch(() => undefined);
  }
}
