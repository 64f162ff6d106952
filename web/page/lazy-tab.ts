import { UserError } from "../../graph-builder/errors.ts";
import type { Page } from "./page.ts";
import type { TabContent } from "./tabs.ts";

/** A tab whose script is loaded when it is shown for the first time. */
export class LazyTab implements TabContent {
  readonly #page: Page;
  readonly #load: () => Promise<TabContent>;
  #content: Promise<TabContent> | undefined;
  #isShown = false;

  constructor(page: Page, load: () => Promise<TabContent>) {
    this.#page = page;
    this.#load = load;
  }

  show(settings: URLSearchParams): void {
    this.#isShown = true;
    void this.#page.messages.guard(async () => {
      const content = await this.#loaded();
      // another tab may have been shown meanwhile
      if (this.#isShown) content.show(settings);
    });
  }

  hide(): void {
    this.#isShown = false;
    void this.#content?.then(
      (content) => content.hide?.(),
      () => undefined,
    );
  }

  #loaded(): Promise<TabContent> {
    this.#content ??= this.#load().catch((error: unknown) => {
      this.#content = undefined;
      if (error instanceof UserError) throw error;
      throw new UserError("The script of this tab could not be loaded: reload the page.", {
        code: "package-missing",
        cause: error,
      });
    });
    return this.#content;
  }
}
