/**
 * What the address of the page says behind its #: the name of a tab, and settings, as in `#train?width=8`.
 */
export interface Address {
  readonly tab: string;
  readonly settings: URLSearchParams;
}

export function readAddress(): Address {
  const [tab = "", settings = ""] = location.hash.slice(1).split("?", 2);
  return { tab, settings: new URLSearchParams(settings) };
}

/** The address of this page with a tab and settings. A model that the address names now stays in it. */
export function addressWith(tab: string, settings: URLSearchParams): string {
  const model = readAddress().settings.get("model");
  if (model !== null) settings.set("model", model);
  const url = new URL(location.href);
  url.hash = settings.size > 0 ? `${tab}?${settings}` : tab;
  return url.href;
}
