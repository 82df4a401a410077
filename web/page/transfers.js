// transfers.js - files on their way up and down: a line with a bar for each, or for each folder.
import { el, humanSize, iconButton, pause, saveAs } from "./dom.js";
import { complaint, Refused, server } from "./server.js";

const AT_A_TIME = 2;            // uploads; a folder's files go one after the other
const COMPLAINTS = 20;          // that are shown of one folder
const ENDS = new Set([401, 403, 404, 503, 507]);       // statuses after which the next file fares no better

export class Transfers {
    // changed(): what is in the session may be another.
    constructor(changed) {
        this.changed = changed;
        this.node = el("ul", { class: "moves", "aria-label": "Transfers" });
        this.queue = [];
        this.sending = 0;
    }

    /* path: where it goes, as a URL; pathOf: of what is in a folder, by its path in that */

    upload(name, file, path) {
        this.enqueue(this.transfer(name, file.size, ({ progress, signal }) => patiently(() => server.upload(path, file, progress, signal), signal)));
    }

    // read(signal): a promise of a Tree of folder.js; make(directory): makes one.
    uploadFolder(name, read, pathOf, make) {
        this.enqueue(this.transfer(name, 0, (line) => this.sendFolder(line, read, pathOf, make)));
    }

    download(name, size, path) {
        return this.transfer(name, size, async ({ progress, signal }) => saveAs(await server.download(path, (done, total) => progress(done, total || size), signal), name))();
    }

    enqueue(job) {
        this.queue.push(job);
        this.pump();
    }

    pump() {
        while (this.sending < AT_A_TIME && this.queue.length) {
            this.sending += 1;
            this.queue.shift()().finally(() => {
                this.sending -= 1;
                this.pump();
                this.changed();
            });
        }
    }

    // A line, and what runs the transfer to its end.
    transfer(name, size, work) {
        const bar = el("progress", { max: "1", value: "0", "aria-label": name });
        const said = el("span", { class: "quiet", text: "waiting" });
        const abort = new AbortController();
        const close = iconButton("close", `Cancel ${name}`, () => { abort.abort(); row.remove(); }, { class: "plain icon small-icon" });
        const row = el("li", {}, el("span", { class: "move-name", text: name, title: name }), said, close, bar);
        const progress = (done, total = size, more = "") => {
            if (total > 0)
                bar.value = done / total;
            said.textContent = `${more}${humanSize(done)}${total > 0 ? ` of ${humanSize(total)}` : ""}`;
        };
        this.node.append(row);
        return async () => {
            if (abort.signal.aborted)
                return;
            try {
                await work({ progress, say: (text) => { said.textContent = text; }, signal: abort.signal });
                row.remove();
            } catch (e) {
                if (!abort.signal.aborted)
                    this.failed({ row, bar, said, close, name }, e);
            }
        };
    }

    failed({ row, bar, said, close, name }, e) {
        row.classList.add("failed");
        bar.remove();
        close.setAttribute("aria-label", `Dismiss ${name}`);
        close.title = `Dismiss ${name}`;
        if (!(e instanceof SomeFailed)) {
            row.append(el("p", { class: "problem", role: "alert", text: complaint(e) }));
            said.textContent = "";
            return;
        }
        said.textContent = e.message;
        const more = e.list.length - COMPLAINTS;
        row.append(el("ul", { class: "problem", role: "alert" }, ...e.list.slice(0, COMPLAINTS).map((text) => el("li", { text })), more > 0 ? el("li", { text: `and ${more} more` }) : null));
    }

    /* a folder */

    async sendFolder({ progress, say, signal }, read, pathOf, make) {
        say("looking into it …");
        const { files, empty, unread } = await read(signal);
        const total = files.reduce((sum, { file }) => sum + file.size, 0);
        const problems = unread.map((path) => `${path}: it cannot be read`);
        let sent = 0, bytes = 0;
        const jobs = [...empty.map((path) => ({ path, size: 0, run: () => make(path) })),
            ...files.map(({ path, file }) => ({ path, size: file.size, run: (tell) => server.upload(pathOf(path), file, tell, signal) }))];
        for (const { path, size, run } of jobs) {
            const tell = (done) => progress(bytes + Math.min(done, size), total, `${sent} of ${jobs.length}, `);
            signal.throwIfAborted();
            tell(0);
            try {
                await patiently(() => run(tell), signal);
                sent += 1;
            } catch (e) {
                if (signal.aborted)
                    throw e;
                problems.push(`${path}: ${complaint(e)}`);
                if (!(e instanceof Refused) || ENDS.has(e.status))
                    break;
            }
            bytes += size;
        }
        if (problems.length)
            throw new SomeFailed(`${sent} of ${jobs.length + unread.length} uploaded`, problems);
    }
}

// Who asks too often asks again.
async function patiently(ask, signal) {
    for (;;) {
        try {
            return await ask();
        } catch (e) {
            if (!(e instanceof Refused && e.status === 429) || signal.aborted)
                throw e;
            await pause(1000 * Math.max(1, e.retryAfter));
            signal.throwIfAborted();
        }
    }
}

class SomeFailed extends Error {
    constructor(message, list) {
        super(message);
        this.list = list;
    }
}
