/** A number of things in English, such as `1 epoch` and `1,568 steps`. The noun takes an s. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
