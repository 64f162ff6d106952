/** One thing that something needs of a machine: what of it is found, and what to do where it is not. */
export interface Need {
  readonly what: string;
  readonly found: string | undefined;
  readonly next: string;
}
