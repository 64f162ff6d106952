/**
 * An entry of a table whose names come from a file or a user; undefined where the table itself does not have
 * it, also for the names that every object inherits, such as `constructor`.
 */
export function ownEntry<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
