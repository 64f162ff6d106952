import type { Notes } from "../ir.ts";
import type { Message } from "./schema.ts";

type Entries = readonly Message<"StringStringEntryProto">[];

/** A message's fields that are notes: what it says beside what is computed. */
interface NoteFields {
  readonly docString?: string | undefined;
  readonly metadataProps?: Entries | undefined;
}

/** The notes of a message. Fields beside `readFields`, which the caller reads, are kept as they are. */
export function decodeNotes(message: NoteFields, readFields: ReadonlySet<string>): Notes | undefined {
  const unread = Object.keys(message).some((name) => !readFields.has(name));
  if (!unread) return undefined;
  const { docString, metadataProps } = message;
  const others = Object.entries(message).filter(([name]) => !readFields.has(name) && !isNote(name));
  const notes: Notes = {
    ...(docString ? { docString } : {}),
    ...(metadataProps ? { metadataProps: decodeMetadataProps(metadataProps) } : {}),
    ...(others.length > 0 ? { otherFields: Object.fromEntries(others) } : {}),
  };
  return Object.keys(notes).length > 0 ? notes : undefined;
}

function isNote(name: string): boolean {
  return name === "docString" || name === "metadataProps";
}

/** A message with the fields of the notes. */
export function withNotes<M extends NoteFields>(message: M, notes: Notes | undefined): M {
  if (!notes) return message;
  const { docString, metadataProps, otherFields } = notes;
  const entries = metadataProps && encodeMetadataProps(metadataProps);
  return { ...otherFields, ...message, docString, metadataProps: entries };
}

/** Metadata by key; where a key is there twice, the last one. */
export function decodeMetadataProps(entries: Entries = []): Record<string, string> {
  return Object.fromEntries(entries.map(({ key = "", value = "" }) => [key, value]));
}

/** Metadata as entries, in their order. */
export function encodeMetadataProps(metadataProps: Readonly<Record<string, string>>): Entries {
  return Object.entries(metadataProps).map(([key, value]) => ({ key, value }));
}
