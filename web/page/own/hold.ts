/**
 * Makes a button that does something for as long as it is held, by a pointer, by Space or by Enter.
 * `onPress` is also called for a click that no press came before, as assistive technology makes it, and is
 * then ended at once.
 */
export function connectHold(button: HTMLButtonElement, onPress: () => void, onRelease: () => void): void {
  let isHeld = false;
  const press = () => {
    if (isHeld) return;
    isHeld = true;
    button.classList.add("held");
    onPress();
  };
  const release = () => {
    if (!isHeld) return;
    isHeld = false;
    button.classList.remove("held");
    onRelease();
  };
  const isKey = ({ key }: KeyboardEvent) => key === " " || key === "Enter";
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    press();
  });
  for (const name of ["pointerup", "pointercancel", "blur"] as const) button.addEventListener(name, release);
  button.addEventListener("keydown", (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    press();
  });
  button.addEventListener("keyup", (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    release();
  });
  button.addEventListener("click", ({ detail }) => {
    if (detail !== 0 || isHeld) return;
    press();
    release();
  });
  // a long press on a phone
  button.addEventListener("contextmenu", (event) => event.preventDefault());
}
