import { isPicture } from "../files.ts";
import { isOtherFolder } from "./class-names.ts";

/** A file and its path, whose first part is the folder that was chosen or dropped. */
export interface PathFile {
  readonly path: string;
  readonly file: File;
}

/** The files that were chosen with their folder. */
export function chosenFiles(files: Iterable<File>): PathFile[] {
  return Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/**
 * The folders and files of a drop. The entries must be read in the drop's own event. Undefined where no
 * folder is among them.
 */
export function droppedFolders(items: DataTransferItemList): Promise<PathFile[]> | undefined {
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (!entries.some(({ isDirectory }) => isDirectory)) return undefined;
  return Promise.all(entries.map((entry) => filesIn(entry))).then((found) => found.flat());
}

async function filesIn(entry: FileSystemEntry): Promise<PathFile[]> {
  if (isFile(entry)) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  if (!isDirectory(entry)) return [];
  const reader = entry.createReader();
  const files: PathFile[] = [];
  for (;;) {
    // a reader gives at most a hundred entries a call
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return files;
    for (const each of entries) files.push(...(await filesIn(each)));
  }
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isDirectory(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

const splits = new Set("train training val valid validation eval".split(" "));
const testSplits = new Set(["test", "testing"]);

/**
 * The pictures of each class, by the folders that they are in: `photos/<class>/*`, or
 * `photos/train/<class>/*`, of which those for tests are left out. The pictures of a folder without folders
 * are one class of its name; beside folders they are left out.
 */
export function picturesByClass(files: readonly PathFile[]): Map<string, File[]> {
  const pictures = files
    .map(({ path, file }) => ({ path, file, folders: path.split("/").slice(0, -1) }))
    .filter(({ file, folders }) => isTaken(file, folders))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const roots = new Set(pictures.flatMap(({ folders }) => (folders.length > 1 ? [folders[0]] : [])));
  const classes = new Map<string, File[]>();
  for (const { file, folders } of pictures) {
    const label = folders.length === 1 && roots.has(folders[0]) ? undefined : classOf(folders);
    if (label === undefined) continue;
    const own = classes.get(label);
    if (own) own.push(file);
    else classes.set(label, [file]);
  }
  return classes;
}

function isTaken(file: File, folders: readonly string[]): boolean {
  const isHidden = [...folders, file.name].some((name) => name.startsWith("."));
  return !isHidden && !folders.some(isOtherFolder) && isPicture(file);
}

function classOf([root, first, second]: readonly string[]): string | undefined {
  if (first === undefined) return root;
  if (second === undefined) return first;
  if (testSplits.has(first.toLowerCase())) return undefined;
  return splits.has(first.toLowerCase()) ? second : first;
}
