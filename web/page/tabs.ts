/**
 * Makes every button with role tab show its panel. Arrow keys, Home and End move between the tabs. `onShow`
 * is called with the id of the panel. Returns the function that shows a panel.
 */
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
      const step = steps[key];
      const next = step === undefined ? undefined : tabs.at(step % tabs.length);
      next?.focus();
      next?.click();
    });
  }
  const wanted = tabs.find((tab) => `#${idOf(tab)}` === location.hash);
  if (wanted) show(idOf(wanted));
  return show;
}
