import { UserError } from "../../graph-builder/errors.ts";

interface RunningCall {
  readonly call: string;
  /** Whether it leaves the state as it is. */
  readonly isReading: boolean;
  readonly end: Promise<unknown>;
}

/**
 * Refuses calls to a session that overlap, or lets them wait, and refuses calls after its release. Calls that
 * only read may overlap each other.
 */
export class CallGuard {
  readonly #running = new Set<RunningCall>();
  #isReleased = false;

  /** Runs a call. Throws UserError while another one is under way, and after the release. */
  async run<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.expectIdle(call);
    return this.#track(call, false, work());
  }

  /**
   * Runs a call that leaves the state as it is. Throws UserError while a call that changes it is under way,
   * and after the release.
   */
  async read<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.expectOpen(call);
    this.#expectNone(call, ({ isReading }) => !isReading);
    return this.#track(call, true, work());
  }

  /** Runs a call after those that were made before it. Throws UserError after the release. */
  async enqueue<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.expectOpen(call);
    const before = [...this.#running].map(({ end }) => end);
    return this.#track(call, false, Promise.allSettled(before).then(work));
  }

  /** Throws UserError while a call is under way, and after the release. */
  expectIdle(call: string): void {
    this.expectOpen(call);
    this.#expectNone(call, () => true);
  }

  async #track<T>(call: string, isReading: boolean, end: Promise<T>): Promise<T> {
    const running = { call, isReading, end };
    this.#running.add(running);
    try {
      return await end;
    } finally {
      this.#running.delete(running);
    }
  }

  #expectNone(call: string, isInTheWay: (running: RunningCall) => boolean): void {
    const inTheWay = [...this.#running].find(isInTheWay);
    if (!inTheWay) return;
    const running = inTheWay.call;
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
   * Refuses all further calls and waits for those under way, whether they fail or not. Throws UserError on a
   * second call.
   */
  async close(): Promise<void> {
    this.expectOpen("release");
    this.#isReleased = true;
    await Promise.allSettled([...this.#running].map(({ end }) => end));
  }
}
