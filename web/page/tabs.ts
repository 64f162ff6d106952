/** Makes buttons with role tab show the panels they control; arrow keys, Home and End move between them. */
export function connectTabs(onShow: (id: string) => void): (id: string) => void {
  const tabs = [...document.querySelectorAll<HTMLButtonElement>("[role=tab]")];
  const idOf = (tab: HTMLButtonElement) => tab.getAttribute("aria-controls") ?? "";
  const show = (id: string) => {
    for (const tab of tabs) {
      const isShown = idOf(tab) === id;
      tab.setAttribute("aria-selected", String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
      const panel = document.getElementById(idOf(tab));
      if (panel) panel.hidden = !isShown;
    }
    onShow(id);
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener("click", () => {
      show(idOf(tab));
      history.replaceState(null, "", `#${idOf(tab)}`);
    });
    tab.addEventListener("keydown", ({ key }) => {
      const steps: Readonly<Record<string, number>> = {
        ArrowRight: i + 1,
        ArrowLeft: i - 1,
        Home: 0,
        End: -1,
      };
      const next = key in steps ? tabs.at((steps[key] ?? 0) % tabs.length) : undefined;
      next?.focus();
      next?.click();
    });
  }
  const wanted = tabs.find((tab) => `#${idOf(tab)}` === location.hash);
  if (wanted) show(idOf(wanted));
  return show;
}
