import { addressWith, readAddress } from "./address.ts";
import { find, make } from "./dom.ts";
import type { Page } from "./page.ts";

/** What a tab holds, as long as the page is open. */
export interface TabContent {
  /** Called when the tab is shown, with the settings that follow its name in the address. */
  show(settings: URLSearchParams): void;
  /** Called when another tab is shown. */
  hide?(): void;
}

/** A tab. Its panel is the section with its id in index.html. */
export interface Tab {
  readonly id: string;
  readonly title: string;
  readonly create: (page: Page) => TabContent;
}

/**
 * The row of tabs. The address names the tab that is shown, as in `#train?width=8`, so Back and links show a
 * tab too. Arrow keys, Home and End move between the tabs.
 */
export class Tabs {
  readonly #tabs: readonly (Tab & { readonly button: HTMLButtonElement; readonly panel: HTMLElement })[];
  readonly #contents = new Map<string, TabContent>();
  #shown: string | undefined;

  /** Makes the buttons of the tabs. The contents come from `create`. */
  constructor(tabs: readonly Tab[]) {
    this.#tabs = tabs.map((tab) => ({ ...tab, button: makeButton(tab), panel: find(tab.id, HTMLElement) }));
    const list = find("tabs", HTMLElement);
    list.replaceChildren(...this.#tabs.map(({ button }) => button));
    for (const { id, button } of this.#tabs) button.addEventListener("click", () => this.show(id));
    list.addEventListener("keydown", (event) => this.#move(event));
    // Back, Forward and a link to another tab of this page
    addEventListener("popstate", () => this.#showAddress());
  }

  /** Makes the contents of all tabs, and shows the tab that the address names, or the first one. */
  create(page: Page): void {
    for (const { id, panel, create } of this.#tabs) {
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", `tab-${id}`);
      this.#contents.set(id, create(page));
    }
    this.#showAddress();
  }

  /** Shows a tab. Back then shows the tab before. */
  show(id: string): void {
    if (id === this.#shown) return;
    history.pushState(null, "", addressWith(id, new URLSearchParams()));
    this.#select(id, new URLSearchParams());
  }

  #showAddress(): void {
    const { tab: name, settings } = readAddress();
    const tab = this.#tabs.find(({ id }) => id === name) ?? this.#tabs[0];
    if (tab) this.#select(tab.id, settings);
  }

  #select(shown: string, settings: URLSearchParams): void {
    if (this.#shown !== undefined && this.#shown !== shown) this.#contents.get(this.#shown)?.hide?.();
    this.#shown = shown;
    for (const { id, button, panel } of this.#tabs) {
      const isShown = id === shown;
      // the focus does not stay behind in a panel that is hidden
      const isLeft = !isShown && panel.contains(document.activeElement);
      button.setAttribute("aria-selected", String(isShown));
      button.tabIndex = isShown ? 0 : -1;
      panel.hidden = !isShown;
      if (isLeft) find(`tab-${shown}`, HTMLButtonElement).focus();
    }
    this.#contents.get(shown)?.show(settings);
  }

  #move({ key, altKey, ctrlKey, metaKey, shiftKey }: KeyboardEvent): void {
    // with another key they are the browser's: Alt and the left arrow go back
    if (altKey || ctrlKey || metaKey || shiftKey) return;
    const buttons = this.#tabs.map(({ button }) => button);
    const focused = buttons.findIndex((button) => button.matches(":focus"));
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: focused + 1,
      ArrowLeft: focused - 1,
      Home: 0,
      End: -1,
    };
    const step = steps[key];
    const next = step === undefined ? undefined : buttons.at(step % buttons.length);
    next?.focus();
    next?.click();
  }
}

function makeButton({ id, title }: Tab): HTMLButtonElement {
  const button = make("button", "", title);
  button.type = "button";
  button.id = `tab-${id}`;
  button.setAttribute("role", "tab");
  button.setAttribute("aria-controls", id);
  return button;
}
