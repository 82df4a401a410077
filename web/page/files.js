// files.js - the files of a session: what is there, up, down, and away.
import { ago, ask, button, el, humanMemory, humanSize, icon, iconButton } from "./dom.js";
import { dropped, treeOf, treeOfChosen } from "./folder.js";
import { complaint, server } from "./server.js";
import { Transfers } from "./transfers.js";

const PAGE = 200;               // entries at a time
const PREVIEW = 65536;          // bytes of a text that are shown
const PICTURE = /\.(png|jpe?g|gif|webp)$/i, PICTURE_MAX = 8_000_000;
const TEXT = /\.(txt|csv|tsv|json|md|py|js|ts|r|sh|c|h|cpp|go|rs|java|rb|log|xml|html|css|svg|ya?ml|toml|ini|sql)$/i;

function encodePath(path) {
    return path.split("/").map(encodeURIComponent).join("/");
}

function nameOf(path) {
    return path.slice(path.lastIndexOf("/") + 1);
}

export class Files {
    constructor() {
        this.directory = "";
        this.transfers = new Transfers(() => this.refresh(this.sentTo === this.session));
        this.crumbs = el("nav", { class: "crumbs", "aria-label": "Directory" });
        this.list = el("ul", { class: "file-list" });
        this.problem = el("p", { class: "problem", role: "alert" });
        this.usage = el("p", { class: "quiet usage" });
        this.picker = el("input", { type: "file", multiple: true, class: "sr", tabindex: "-1", "aria-label": "Files to upload", onchange: () => this.picked() });
        this.folderPicker = el("input", { type: "file", webkitdirectory: true, class: "sr", tabindex: "-1", "aria-label": "Folder to upload", onchange: () => this.pickedFolder() });
        this.preview = el("div", { class: "preview", hidden: true });
        this.node = el("div", { class: "files" }, this.tools(), this.crumbs, this.problem, this.transfers.node, this.list, this.preview, this.usage);
        this.wireDrops();
    }

    tools() {
        const upload = button("", { class: "small" }, () => this.picker.click());
        upload.append(icon("upload"), "Upload");
        const folder = button("New folder", { class: "small" }, () => this.makeFolder());
        return el("div", { class: "panel-tools" }, upload, this.picker, iconButton("folder-up", "Upload a folder", () => this.folderPicker.click()), this.folderPicker, folder, el("span", { class: "grow" }),
            iconButton("download", "Download all of it as a zip", () => this.archive()), iconButton("refresh", "Look again", () => this.refresh()));
    }

    wireDrops() {
        const over = (on) => this.node.classList.toggle("dropping", on);
        this.node.addEventListener("dragover", (event) => {
            if (!event.dataTransfer.types.includes("Files"))
                return;
            event.preventDefault();
            over(true);
        });
        this.node.addEventListener("dragleave", (event) => this.node.contains(event.relatedTarget) || over(false));
        this.node.addEventListener("drop", (event) => {
            event.preventDefault();
            over(false);
            if (!this.session || this.session.gone)
                return;
            const { files, folders } = dropped(event.dataTransfer);
            this.send(files);
            for (const entry of folders)
                this.sendFolder(entry.name, (signal) => treeOf(entry, signal));
        });
    }

    show(session) {
        if (session !== this.session) {
            this.session = session;
            this.directory = "";
            this.shutPreview();
            this.list.replaceChildren();
            this.problem.textContent = this.usage.textContent = "";
            this.drawCrumbs();
        }
        this.refresh();
    }

    get prefix() {
        return this.directory ? `${this.directory}/` : "";
    }

    pathOf(path, query) {
        return this.session.path(`files/${encodePath(path)}`, query);
    }

    // Unless another session is looked at by now.
    complain(session, e) {
        if (session === this.session)
            this.problem.textContent = complaint(e);
    }

    /* what is there */

    // awake: something has been put into it just now, whatever the list of sessions says of its state.
    async refresh(awake = false) {
        const { session, directory } = this;
        const asked = this.asked = {};
        if (!session || session.gone || (session.state === "stopped" && !awake))     // looking would start a container
            return this.draw([]);
        try {
            const query = { limit: String(PAGE), ...(directory ? { path: directory } : {}) };
            const page = await server.json("GET", session.path("files", query));
            if (asked !== this.asked)
                return undefined;
            this.problem.textContent = "";
            this.draw(page.files, page.next_cursor);
            this.measure(session);
        } catch (e) {
            if (asked !== this.asked)
                return undefined;
            if (e.status === 404 && directory)
                return this.enter("");
            this.problem.textContent = complaint(e);
        }
        return undefined;
    }

    async measure(session) {
        const usage = await server.json("GET", session.path("files:usage")).catch(() => null);
        if (usage && session === this.session)
            this.usage.textContent = `${humanMemory(usage.bytes_used)} of ${humanMemory(usage.bytes_total)} used`;
    }

    draw(files, cursor = null) {
        const rows = files.map((file) => this.row(file));
        const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.path : undefined;
        this.drawCrumbs();
        this.list.replaceChildren(...rows);
        if (cursor)
            this.list.append(this.moreRow(cursor));
        if (!rows.length)
            this.list.append(el("li", { class: "empty-list" }, el("b", { text: "No files here yet" }), el("span", { text: "Drop some here, or write one from code." })));
        if (focused !== undefined)
            [...this.list.querySelectorAll("[data-path]")].find((one) => one.dataset.path === focused)?.focus();
    }

    moreRow(cursor) {
        const { session, directory } = this;
        const row = el("li", {}, button("More", { class: "small" }, async () => {
            try {
                const page = await server.json("GET", session.path("files", { limit: String(PAGE), cursor, ...(directory ? { path: directory } : {}) }));
                row.replaceWith(...page.files.map((file) => this.row(file)), ...(page.next_cursor ? [this.moreRow(page.next_cursor)] : []));
            } catch (e) {
                this.complain(session, e);
            }
        }));
        return row;
    }

    drawCrumbs() {
        const parts = this.directory ? this.directory.split("/") : [];
        const crumb = (text, path) => button(text, { class: "small plain" }, () => this.enter(path));
        this.crumbs.replaceChildren(crumb("workspace", ""), ...parts.flatMap((part, i) => [el("span", { text: "/", "aria-hidden": "true" }), crumb(part, parts.slice(0, i + 1).join("/"))]));
        this.crumbs.lastChild.setAttribute("aria-current", "location");
    }

    row(file) {
        const name = nameOf(file.path);
        const isDirectory = file.type === "directory";
        const open = el("button", { type: "button", class: "file-name", title: name, "data-path": file.path, disabled: file.unreachable === true,
                                    onclick: () => isDirectory ? this.enter(file.path) : this.look(file) });
        open.append(icon(isDirectory ? "folder" : file.type === "symlink" ? "link" : "file"), el("span", { text: name }));
        const about = isDirectory ? "folder" : file.type === "symlink" ? `→ ${file.target ?? ""}` : `${humanSize(file.size)} · ${ago(file.modified_at)}`;
        const row = el("li", {}, open, el("span", { class: "quiet about-file", text: about, title: file.modified_at }));
        if (!isDirectory)
            row.append(iconButton("download", `Download ${name}`, () => this.fetch(file), { class: "plain icon small-icon" }));
        row.append(iconButton("bin", `Delete ${name}`, () => this.remove(file), { class: "plain icon small-icon" }));
        return row;
    }

    enter(directory) {
        this.directory = directory;
        this.shutPreview();
        this.refresh();
    }

    /* looking at one */

    shutPreview() {
        this.looking = null;
        this.preview.hidden = true;
        for (const img of this.preview.querySelectorAll("img"))
            URL.revokeObjectURL(img.src);
        this.preview.replaceChildren();
    }

    async look(file) {
        const { session } = this;
        const name = nameOf(file.path);
        const picture = PICTURE.test(name) && file.size <= PICTURE_MAX;
        if (!picture && !TEXT.test(name))
            return this.fetch(file);
        const looking = this.looking = {};
        try {
            const headers = picture || !file.size ? {} : { Range: `bytes=0-${PREVIEW - 1}` };
            const answer = await server.ask("GET", this.pathOf(file.path), { headers });
            const bytes = await answer.arrayBuffer();
            if (looking !== this.looking)
                return undefined;
            this.shutPreview();
            this.preview.append(el("div", { class: "preview-head" }, el("b", { text: name }), iconButton("close", "Close the preview", () => this.shutPreview(), { class: "plain icon small-icon" })));
            if (picture)
                this.preview.append(el("img", { alt: name, src: URL.createObjectURL(new Blob([bytes], { type: `image/${name.split(".").pop().toLowerCase().replace("jpg", "jpeg")}` })) }));
            else
                this.preview.append(el("pre", { tabindex: "0", "aria-label": name, text: new TextDecoder().decode(bytes) + (file.size > PREVIEW ? "\n…" : "") }));
            this.preview.hidden = false;
            this.preview.scrollIntoView({ block: "nearest" });
        } catch (e) {
            this.complain(session, e);
        }
        return undefined;
    }

    /* up */

    picked() {
        this.send([...this.picker.files]);
        this.picker.value = "";
    }

    pickedFolder() {
        const files = [...this.folderPicker.files];
        this.folderPicker.value = "";
        if (files.length)
            this.sendFolder(files[0].webkitRelativePath.split("/", 1)[0], async () => treeOfChosen(files));
    }

    send(files) {
        this.sentTo = this.session;
        for (const file of files)
            this.transfers.upload(file.name, file, this.pathOf(this.prefix + file.name));
    }

    // read: as Transfers has it.
    sendFolder(name, read) {
        const { session, prefix } = this;
        this.sentTo = session;
        const pathOf = (path) => session.path(`files/${encodePath(prefix + path)}`);
        const make = (path) => server.json("POST", session.path("files:mkdir"), { json: { path: prefix + path } });
        this.transfers.uploadFolder(`${name}/`, read, pathOf, make);
    }

    /* down, and away */

    fetch(file) {
        return this.transfers.download(nameOf(file.path), file.size, this.pathOf(file.path));
    }

    archive() {
        return this.transfers.download(`${nameOf(this.directory) || "workspace"}.zip`, 0, this.session.path("files:archive", { format: "zip", ...(this.directory ? { path: this.directory } : {}) }));
    }

    async remove(file) {
        const isDirectory = file.type === "directory";
        const path = this.pathOf(file.path, isDirectory ? { recursive: "true" } : {});
        if (!await ask({ title: `Delete ${nameOf(file.path)}?`, text: isDirectory ? "With all that is in it." : "", yes: "Delete" }))
            return;
        await this.attempt(() => server.json("DELETE", path));
    }

    async makeFolder() {
        const { session, prefix } = this;
        const name = await ask({ title: "New folder", label: "Name", yes: "Make" });
        if (name)
            await this.attempt(() => server.json("POST", session.path("files:mkdir"), { json: { path: prefix + name } }));
    }

    async attempt(action) {
        const { session } = this;
        try {
            await action();
            if (session === this.session)
                await this.refresh(true);
        } catch (e) {
            this.complain(session, e);
        }
    }
}
