// server.js - the API as the page uses it: requests with the token, errors as exceptions, events of a stream, uploads.

// There was no answer.
export class Unreachable extends Error {}

// There was one, and it is an error.
export class Refused extends Error {
    constructor(status, error, retryAfter) {
        super(String(error.message ?? `The server answers ${status}`));
        this.status = status;
        this.code = String(error.code ?? "");
        this.field = error.field;
        this.retryAfter = Number(retryAfter) || 0;
    }
}

// Something between this page and the server may answer in another form.
function errorOf(text) {
    try {
        const body = JSON.parse(text);
        return typeof body.error === "object" ? body.error : { message: body.detail };
    } catch {
        return {};
    }
}

export const server = {
    token: "",
    onReached() {},
    onUnreachable() {},
    onUnauthorized() {},

    // The Response of a request that was not refused.
    async ask(method, path, { json, headers = {}, signal, patience } = {}) {
        const options = {
            method, cache: "no-store", credentials: "omit", redirect: "error",
            headers: { "X-Auth-Token": this.token, ...headers },
            signal: patience ? AbortSignal.timeout(patience) : signal,
        };
        if (json !== undefined) {
            options.headers["Content-Type"] = "application/json";
            options.body = JSON.stringify(json);
        }
        const token = this.token;
        const answer = await this.reach(() => fetch(path, options), signal);
        if (answer.ok)
            return answer;
        const text = await this.reach(() => answer.text(), signal);
        if (answer.status === 401 && token && token === this.token)
            this.onUnauthorized();
        throw new Refused(answer.status, errorOf(text), answer.headers.get("Retry-After"));
    },

    async json(method, path, options) {
        const answer = await this.ask(method, path, options);
        if (answer.status === 204)
            return null;
        const text = await this.reach(() => answer.text(), options?.signal);
        try {
            return JSON.parse(text);
        } catch {
            throw new Refused(answer.status, { message: "The answer is not in the server's form" });
        }
    },

    async reach(attempt, signal) {
        try {
            const done = await attempt();
            this.onReached();
            return done;
        } catch (e) {
            if (signal?.aborted)
                throw e;
            if (e.name === "TimeoutError")
                throw new Refused(0, { message: "The server takes too long to answer." });
            this.onUnreachable();
            throw new Unreachable();
        }
    },

    // {id, name, data} for each event of an answer, until it ends or breaks.
    async* events(answer, signal) {
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        try {
            for (;;) {
                const { done, value } = await this.reach(() => reader.read(), signal);
                if (done)
                    return;
                const blocks = (rest + value).split("\n\n");
                rest = blocks.pop();
                for (const block of blocks)
                    if (!block.startsWith(":"))
                        yield eventOf(block);
            }
        } finally {
            reader.cancel().catch(() => {});
        }
    },

    // Sends a file; progress(bytes) as it goes.  XMLHttpRequest, because fetch does not tell of that.
    upload(path, file, progress, signal) {
        return new Promise((resolve, reject) => {
            signal.throwIfAborted();
            const request = new XMLHttpRequest();
            request.open("PUT", path);
            request.setRequestHeader("X-Auth-Token", this.token);
            request.setRequestHeader("Content-Type", "application/octet-stream");
            request.upload.onprogress = (event) => progress(event.loaded);
            request.onload = () => request.status < 300 ? resolve()
                : reject(new Refused(request.status, errorOf(request.responseText), request.getResponseHeader("Retry-After")));
            request.onerror = () => reject(new Unreachable());
            request.onabort = () => reject(new DOMException("", "AbortError"));
            signal.addEventListener("abort", () => request.abort());
            request.send(file);
        });
    },

    // The bytes of an answer as a Blob; progress(bytes, of how many or NaN).
    async download(path, progress, signal) {
        const answer = await this.ask("GET", path, { signal });
        const total = Number(answer.headers.get("Content-Length") ?? NaN);
        const reader = answer.body.getReader();
        const parts = [];
        let got = 0;
        for (;;) {
            const { done, value } = await this.reach(() => reader.read(), signal);
            if (done)
                return new Blob(parts, { type: "application/octet-stream" });
            parts.push(value);
            progress(got += value.length, total);
        }
    },
};

function eventOf(block) {
    const fields = {};
    for (const line of block.split("\n")) {
        const at = line.indexOf(": ");
        fields[line.slice(0, at)] = line.slice(at + 2);
    }
    return { id: Number(fields.id), name: fields.event, data: JSON.parse(fields.data) };
}

// What an exception of these calls says to a person.
export function complaint(e) {
    if (e instanceof Unreachable)
        return "The server cannot be reached.";
    if (e instanceof Refused)
        return e.message + (e.retryAfter ? ` Try again in ${e.retryAfter} s.` : "");
    throw e;
}
