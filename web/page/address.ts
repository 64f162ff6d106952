/**
 * What the address of the page says behind its #: the name of a tab, and settings, as in `#train?width=8`.
 */
export interface Address {
  readonly tab: string;
  readonly settings: URLSearchParams;
}

export function readAddress(): Address {
  const hash = location.hash.slice(1);
  const [tab = ""] = hash.split("?", 1);
  // the address of a model may have a ? of its own
  return { tab, settings: new URLSearchParams(hash.slice(tab.length + 1)) };
}

/** The address of this page with a tab and settings. A model that the address names now stays in it. */
export function addressWith(tab: string, settings: URLSearchParams): string {
  const model = readAddress().settings.get("model");
  if (model !== null) settings.set("model", model);
  const url = new URL(location.href);
  url.hash = settings.size > 0 ? `${tab}?${settings}` : tab;
  return url.href;
}
