// folder.js - folders that are dropped or chosen: what is in them.
import { Refused } from "./server.js";

const MOST = 2000;              // files and directories of one folder

// What is in a folder.  A path begins with the folder's own name.
class Tree {
    constructor() {
        this.files = [];         // {path, file}
        this.empty = [];         // paths of directories
        this.unread = [];        // paths of what the browser does not get to read
        this.count = 0;
    }

    // Of that many more.
    take(n) {
        this.count += n;
        if (this.count > MOST)
            throw new Refused(0, { message: `There are more than ${MOST} files in it. Pack them, and unpack the archive with code.` });
    }
}

// What was dropped, which only the event itself tells.
export function dropped(transfer) {
    const found = [...transfer.items].filter((item) => item.kind === "file").map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
    const isFolder = ({ entry }) => entry?.isDirectory === true;
    return { folders: found.filter(isFolder).map(({ entry }) => entry), files: found.filter((one) => !isFolder(one) && one.file).map(({ file }) => file) };
}

// The Tree of a directory that was dropped.
export async function treeOf(entry, signal) {
    const tree = new Tree();
    const waiting = [entry];
    while (waiting.length && !signal.aborted) {
        const directory = waiting.shift();
        const entries = await promised((resolve, reject) => list(directory.createReader(), [], resolve, reject));
        tree.take(entries?.length ?? 0);
        if (!entries)
            tree.unread.push(pathOf(directory));
        else if (!entries.length)
            tree.empty.push(pathOf(directory));
        else
            waiting.push(...await addFiles(tree, entries));
    }
    return tree;
}

// What is chosen in the browser's dialog is of one folder, and a list of its files.
export function treeOfChosen(files) {
    const tree = new Tree();
    tree.take(files.length);
    tree.files = files.map((file) => ({ path: file.webkitRelativePath, file }));
    return tree;
}

function pathOf(entry) {
    return entry.fullPath.slice(1);
}

// The directories that are left to look into.
async function addFiles(tree, entries) {
    for (const entry of entries.filter((one) => one.isFile)) {
        const file = await promised((resolve, reject) => entry.file(resolve, reject));
        if (file)
            tree.files.push({ path: pathOf(entry), file });
        else
            tree.unread.push(pathOf(entry));
    }
    return entries.filter((one) => one.isDirectory);
}

// A reader gives a hundred at a time.
function list(reader, before, resolve, reject) {
    reader.readEntries((some) => {
        const all = [...before, ...some];
        if (!some.length || all.length > MOST)
            resolve(all);
        else
            list(reader, all, resolve, reject);
    }, reject);
}

// null where it is rejected.
function promised(start) {
    return new Promise(start).catch(() => null);
}
