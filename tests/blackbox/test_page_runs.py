"""test_page_runs.py - what becomes of a run in the page when connections break, answers fail and pages are loaded anew."""
import contextlib

import pytest
from selenium.webdriver.common.keys import Keys

from cutting import Relay
from harness import eventually

# For meddle(): the sessions are starting, and their kernels answer nothing.
STARTING = """async (method, path, headers) => {
    const starting = one => ({...one, state: "starting"}), isList = path.startsWith("v1/sessions?");
    if (!isList && !path.endsWith("/restart"))
        return path.endsWith("/variables") ? refusal(503) : null;
    const answer = await (await real(path, {method, headers})).json();
    return new Response(JSON.stringify(isList ? {...answer, sessions: answer.sessions.map(starting)} : starting(answer)));
}"""
UNTIL_GO = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.02)\n"

# What the page asks for passes through window.meddle(method, path, headers), which may give an answer of its own.
MEDDLE = """
    window.asked = [];
    window.streams = 0;
    const real = window.fetch;
    window.fetch = async (path, options = {}) => {
        window.asked.push(`${options.method} ${path}`);
        window.streams += options.headers?.Accept === "text/event-stream";
        return await window.meddle?.(options.method, String(path), options.headers ?? {}) ?? real(path, options);
    };
    window.refusal = (status, headers = {}) =>
        new Response(JSON.stringify({error: {code: "x", message: "refused by the test"}}), {status, headers});
"""


@pytest.fixture
def gateway(patient):
    """In place of the shared one."""
    return patient


ASKED = "return document.activeElement.closest('.stdin') !== null"


def go(page):
    assert page.gateway.client.put(f"{page.path}/files/go", content=b"").status_code == 201


def meddle(page, code):
    page.js(MEDDLE + "window.meddle = " + code)


def occupy(page, code=UNTIL_GO):
    """Another client runs this in the page's session: its id."""
    made = page.gateway.client.post(f"{page.path}/executions", json={"code": code, "background": True})
    assert made.status_code == 202, made.text
    return made.json()["id"]


def executions(page):
    """The newest first."""
    return page.gateway.client.get(f"{page.path}/executions").json()["executions"]


def state(page, which="last-of-type"):
    return page.js(f"return document.querySelector('.cell:{which}')?.dataset.state")


def polls(page):
    return page.js("return window.asked.filter(one => one.startsWith('GET') && one.includes('/executions/')).length")


def queued(page, code):
    """Runs it behind another client's, in a session that has started."""
    page.until(lambda: page.js("return document.querySelector('.session-head .state').dataset.state") != "starting", "the session has begun")
    page.begin(code)
    page.until(lambda: len(executions(page)) == 2, "the server has it")
    page.until(lambda: "queued" in page.text(".cell:last-of-type .time"), "it is queued")


def test_one_that_loses_its_connection_while_it_is_queued_is_found_again(gateway, open_page):
    with contextlib.closing(Relay(gateway, lambda n: None)) as line:
        page = open_page(url=line.url)
        occupy(page)
        queued(page, "print('it', 'came')")
        before = line.count
        line.cut_all()
        page.until(lambda: line.count > before and not page.visible(".cell .notes .notice"), "it is connected again")
        go(page)
        page.shows("it came", within=".cell:last-of-type .out")
        page.ended()
        assert len(executions(page)) == 2
        page.driver.get_log("browser")


def test_one_that_was_sent_without_an_answer_is_found_again(page):
    meddle(page, """async (method, path, headers) => {
        if (method !== "POST" || !path.includes("/executions"))
            return null;
        window.meddle = null;
        await (await real(path, {method, headers, body: window.sent})).body.cancel();
        throw new TypeError("broken");
    }""")
    page.js("""const before = window.fetch;
        window.fetch = (path, options) => {
            window.sent = options?.body ?? window.sent;
            return before(path, options);
        }""")
    assert page.run("print('once')") == "once"
    assert len(executions(page)) == 1


def test_a_busy_server_only_delays_what_runs(page):
    meddle(page, """(method, path) => {
        if (path.includes("/executions/") && (window.refused = (window.refused ?? 0) + 1) <= 3)
            return [refusal(503), refusal(429, {"Retry-After": "1"}), refusal(502)][window.refused - 1];
    }""")
    page.js("""const before = window.fetch;
        window.fetch = async (path, options) => {
            const answer = await before(path, options);
            if (options.method !== "POST" || !answer.body)
                return answer;
            const events = answer.body.getReader();
            window.fetch = before;
            const {value} = await events.read();
            events.cancel();
            const broken = new ReadableStream({pull(to) { window.begun ? to.error(new TypeError("broken")) : to.enqueue(value); window.begun = true; }});
            return new Response(broken, {status: answer.status, headers: answer.headers});
        }""")
    page.begin(UNTIL_GO + "print('still', 'there')")
    page.until(lambda: page.js("return (window.refused ?? 0) >= 3"), "three refusals")
    assert state(page) not in ("failed", "done")
    go(page)
    page.ended()
    assert "still there" in page.text(".cell .out")


def test_an_execution_that_is_not_there_is_lost_and_its_session_is_not(page):
    meddle(page, "(method, path) => method === 'GET' && path.includes('/executions/') ? refusal(404) : null")
    page.js("""const before = window.fetch;
        window.fetch = async (path, options) => {
            const answer = await before(path, options);
            if (options.method !== "POST")
                return answer;
            window.fetch = before;
            answer.body.cancel();
            return new Response("", {headers: answer.headers});
        }""")
    page.run("1")
    page.shows("knows nothing of this run", within=".cell")
    page.until(lambda: page.js("return window.asked.some(one => one.endsWith(arguments[0]))", page.path[1:]), "the session is looked after")
    assert "Session ended" not in page.text(".transcript")
    page.js("window.meddle = null")
    assert page.run("'on'") == "'on'"


def test_one_that_is_queued_waits_for_its_session_until_that_has_started(page):
    occupy(page)
    meddle(page, STARTING)
    page.until(lambda: page.visible(".session-head .state[data-state=starting]"), "the session is starting")
    page.begin("1")
    page.shows("the session is starting", within=".cell:last-of-type .time")
    page.js("window.meddle = null")
    page.shows("queued", within=".cell:last-of-type .time")
    go(page)
    page.ended()


def test_cancel_is_of_ones_own(page):
    other = occupy(page)
    queued(page, "print('mine')")
    newest = occupy(page, "print('theirs')")
    page.press("Cancel", within=".cell:last-of-type")
    page.until(lambda: state(page) == "done", "it is cancelled")
    assert {one["id"]: one["state"] for one in executions(page)}[newest] == "queued"
    queued_again = len(page.all(".cell"))
    page.begin("print('again')")
    page.until(lambda: "queued" in page.text(".cell:last-of-type .time"), "it is queued")
    page.find("textarea.editor").send_keys(Keys.CONTROL, "c")
    page.until(lambda: state(page) == "done", "it is cancelled")
    assert len(page.all(".cell")) == queued_again + 1
    go(page)
    page.until(lambda: {one["id"]: one["status"] for one in executions(page)}[newest] == "ok", "theirs ran")
    assert {one["id"]: one["status"] for one in executions(page)}[other] == "ok"


def test_one_that_is_queued_is_so_after_a_reload(page):
    occupy(page)
    queued(page, "print('mine')")
    page.driver.refresh()
    page.until(lambda: state(page) == "queued", "it is queued")
    page.press("Cancel", within=".cell:last-of-type")
    page.until(lambda: state(page) == "done", "it is cancelled")
    go(page)
    page.ended()


def test_what_is_run_while_the_history_comes_is_below_it(page):
    page.run("'a'")
    page.run("'b'")
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": MEDDLE + """
        const held = new Promise(done => { window.letGo = done; });
        window.meddle = async (method, path) => { if (path.includes("executions?")) await held; };"""})
    try:
        page.driver.refresh()
        assert page.run("'new'") == "'new'"
        page.js("letGo()")
        page.until(lambda: len(page.all(".cell")) == 3, "all three")
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    page.ended()
    assert [out.text for out in page.all(".cell .out")] == ["'a'", "'b'", "'new'"]


def test_what_waits_is_run_once_after_a_reload(page):
    page.begin(UNTIL_GO + "print('first')")
    page.until(lambda: state(page) == "running", "it runs")
    page.begin("print('second', 'run')")
    page.begin("print('third', 'run')")
    page.driver.refresh()
    page.until(lambda: len(page.all(".cell")) == 3, "all three")
    go(page)
    page.ended()
    assert [one["code"][7:12] for one in executions(page)][:2] == ["third", "secon"]
    assert len(executions(page)) == 3
    assert page.js("return Object.keys(sessionStorage).filter(key => key.startsWith('tci-waiting'))") == []


def test_what_was_sent_without_an_answer_is_run_once_after_a_reload(page):
    meddle(page, "(method, path) => method === 'POST' && path.includes('/executions') ? new Promise(() => {}) : null")
    page.begin("print('lost', 'and found')")
    page.until(lambda: page.js("return window.asked.some(one => one.startsWith('POST'))"), "it is sent")
    waiting = page.js("return sessionStorage.getItem(arguments[0])", f"tci-waiting-/{page.id}")
    page.driver.refresh()
    page.shows("lost and found", within=".transcript")
    page.ended()
    page.js("sessionStorage.setItem(arguments[0], arguments[1])", f"tci-waiting-/{page.id}", waiting)  # the server had it
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
        window.most = 0;
        new MutationObserver(() => { most = Math.max(most, document.querySelectorAll(".cell").length); })
            .observe(document, {childList: true, subtree: true});"""})
    try:
        page.driver.refresh()
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    page.until(lambda: page.js("return sessionStorage.getItem(arguments[0])", f"tci-waiting-/{page.id}") is None, "it is known")
    page.until(lambda: len(page.all(".cell")) == 1, "one run is shown")
    assert page.js("return most") == 1
    assert len(executions(page)) == 1


def test_what_waited_goes_with_its_session(page):
    page.begin(UNTIL_GO)
    page.until(lambda: state(page) == "running", "it runs")
    page.begin("print('never')")
    waiting = page.js("return sessionStorage.getItem(arguments[0])", f"tci-waiting-/{page.id}")
    assert "never" in waiting
    page.press("Close: end the session")
    page.confirm()
    page.until(lambda: page.gateway.session(page.id) is None, "the session is gone")
    page.until(lambda: page.js("return sessionStorage.getItem(arguments[0])", f"tci-waiting-/{page.id}") is None, "it is gone as well")
    page.js("sessionStorage.setItem(arguments[0], arguments[1])", f"tci-waiting-/{page.id}", waiting)  # as another tab would have it
    assert page.gateway.client.post("/v1/sessions", json={"user_uuid": page.id}).status_code == 201
    page.choose(page.id)
    assert page.run("'another'") == "'another'"
    assert len(executions(page)) == 1


def test_the_token_that_is_forgotten_leaves_nothing(page):
    page.begin(UNTIL_GO + "print('a secret')")
    page.until(lambda: state(page) == "running", "it runs")
    page.begin("print('another secret')")
    page.click("#log-out")
    page.until(lambda: page.visible("#token"), "the token is asked for")
    page.until(lambda: "secret" not in page.js("return document.body.textContent"), "no transcript")
    assert page.js("return Object.keys(sessionStorage).filter(key => key.startsWith('tci-'))") == []
    assert page.id not in page.driver.current_url
    page.find("#token").send_keys(page.gateway.token, Keys.ENTER)
    page.choose(page.id)
    page.until(lambda: len(page.all(".cell")) == 1, "what runs is there")
    go(page)
    page.ended()


def test_a_refused_token_leaves_the_next_one_to_be_typed(page):
    page.begin(UNTIL_GO)
    page.until(lambda: state(page) == "running", "it runs")
    meddle(page, "(method, path, headers) => { window.bare = !headers['X-Auth-Token']; return refusal(401); }")
    page.shows("does not accept this token")
    page.find("#token").send_keys("typed")
    page.js("window.bare = false; document.querySelector('#new-form').requestSubmit()")
    page.until(lambda: page.js("return window.bare && document.querySelector('#new-problem').textContent !== ''"),
               "somebody has asked without a token")
    assert page.find("#token").get_attribute("value") == "typed"
    go(page)


def test_an_answer_is_sent_once(page):
    meddle(page, "async (method, path) => { if (path.includes('/stdin')) await new Promise(done => { window.send = done; }); }")
    page.begin("a = input('one? ')\nb = input('two? ')\nprint(a, b)")
    page.shows("one?", within=".cell .out")
    page.find(".stdin input").send_keys("first", Keys.ENTER, Keys.ENTER)
    page.js("window.meddle = null; window.send()")
    page.shows("two?", within=".cell .out")
    assert page.js("return window.asked.filter(one => one.includes('/stdin')).length") == 1
    page.until(lambda: len(page.all(".answered")) == 1 and len(page.all(".stdin")) == 1, "a fresh line")
    page.find(".stdin input").send_keys("second", Keys.ENTER)
    page.shows("first second", within=".cell .out")
    page.ended()


def test_the_next_question_keeps_the_focus(page):
    page.js("""  // the server's answer to the first comes when the second has been asked
        const real = window.fetch, held = new Promise(done => { window.letGo = done; });
        window.fetch = async (path, options) => {
            const answer = await real(path, options);
            if (!path.endsWith("/stdin"))
                return answer;
            const text = await answer.text();
            await held;
            return {ok: answer.ok, status: answer.status, headers: answer.headers, text: async () => text};
        };""")
    page.begin("a = input('one? ')\nb = input('two? ')\nprint(a, b)")
    page.find(".stdin input").send_keys("first", Keys.ENTER)
    page.shows("two?", within=".stdin")
    page.until(lambda: page.js(ASKED), "the second has the focus")
    page.js("letGo()")
    assert page.js(ASKED)
    page.driver.switch_to.active_element.send_keys("second", Keys.ENTER)
    page.shows("first second", within=".cell .out")
    page.ended()


GONE = """(method, path, headers) => method === "GET" && path.includes("/executions/") && headers["Last-Event-ID"] ? refusal(409) : null"""


def test_without_events_every_input_is_asked_for(gateway, open_page):
    with contextlib.closing(Relay(gateway, lambda n: None)) as line:
        page = open_page(url=line.url)
        page.begin("print('seen')\na = input('one?')\nb = input('two?')\nc = input('three?')\nprint(a, b, c)\n1 / 0")
        page.shows("one?", within=".cell .out")
        meddle(page, GONE)
        line.cut_all()
        page.until(lambda: polls(page) > 1, "it polls")
        for n, word in enumerate(("first", "second", "third")):
            page.until(lambda n=n: len(page.all(".answered")) == n and len(page.all(".stdin")) == 1, f"a line for the {word}")
            page.find(".stdin input").send_keys(word, Keys.ENTER)
        page.ended()
        page.shows("seen", "first second third", "ZeroDivisionError", within=".cell .out")
        page.driver.get_log("browser")


def test_what_was_seen_stays_where_the_server_has_less(gateway, open_page):
    with contextlib.closing(Relay(gateway, lambda n: None)) as line:
        page = open_page(url=line.url)
        page.begin("print('x' * 300_000)\nprint('seen', 'last', flush=True)\n" + UNTIL_GO + "1 / 0")
        page.shows("seen last", within=".cell .out")
        meddle(page, GONE)
        line.cut_all()
        page.until(lambda: polls(page) > 1, "it polls")
        go(page)
        page.ended()
        page.shows("seen last", "Gap", "ZeroDivisionError", within=".cell .out")
        page.driver.get_log("browser")


def test_many_that_run_leave_connections_for_all_else(page):
    ids = [occupy(page, UNTIL_GO if not n else f"print('run {n}')") for n in range(8)]
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": MEDDLE})
    try:
        page.driver.refresh()
        page.until(lambda: page.js("return arguments[0].every(id => window.asked.some(one => one.endsWith(id)))", ids), "all are asked about")
        assert page.js("return window.streams") == 3
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    go(page)
    page.ended()
    for n in range(1, 8):
        page.shows(f"run {n}", within=".transcript")


def test_the_session_that_is_looked_at_has_a_connection(gateway, page, users):
    others = [users(gateway) for _ in range(3)]
    for one in others:
        assert gateway.client.post("/v1/sessions", json={"user_uuid": one}).status_code == 201
    for one in [page.id, *others]:
        eventually(lambda one=one: gateway.session(one)["state"] == "idle", what=f"{one} is idle")
    for one in [page.id, *others]:
        page.choose(one)
        page.begin(f"print('in {one}', flush=True)\nwho = input('who? ')\nprint('hello', who)")
        page.shows(f"in {one}", "who?", within=".cell .out")
    page.choose(page.id)
    page.find(".stdin input").send_keys("you", Keys.ENTER)
    page.shows("hello you", within=".cell .out")
    page.ended()


def test_a_page_without_storage_takes_a_link(page):
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
        for (const name of ["getItem", "setItem", "removeItem"])
            Storage.prototype[name] = () => { throw new DOMException("no storage", "SecurityError"); };"""})
    try:
        page.driver.get("about:blank")
        page.driver.get(f"{page.gateway.url}/#token={page.gateway.token}")
        page.choose(page.id)
        assert page.run("'in'") == "'in'"
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
        page.driver.get("about:blank")
        page.driver.get(f"{page.gateway.url}/#token={page.gateway.token}")


def test_a_rate_that_is_used_up_slows_the_page_down(page):
    meddle(page, """(method, path) => {
        if (!window.lists || !path.startsWith("v1/sessions?"))
            return null;
        window.lists.push(performance.now());
        return window.lists.length > 1 ? refusal(429) : null;
    }""")
    page.press("New session", within="#sidebar")
    page.until(lambda: page.js("return document.querySelector('#new-kernel').options.length") > 1, "the languages")
    page.js("document.querySelector('#new-form').requestSubmit(); document.querySelector('#new-form').requestSubmit()")
    page.until(lambda: page.text(".session-head h2").startswith("page-"), "the session is made")
    page.js("window.lists = []")
    page.until(lambda: page.js("return window.lists.length") >= 3, "it has asked again")
    times = page.js("return window.lists")
    assert times[-1] - times[-2] > 1000
    assert page.js("return window.asked.filter(one => one === 'POST v1/sessions').length") == 1


UPLOAD = """
    const data = new DataTransfer();
    data.items.add(new File(["text"], arguments[0]));
    document.querySelector(".files").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));"""


def test_an_upload_waits_for_its_turn_and_can_be_cancelled(page):
    page.js("""
        window.puts = 0;
        const open = XMLHttpRequest.prototype.open, later = window.setTimeout;
        XMLHttpRequest.prototype.open = function (method, path) {
            window.puts += 1;
            open.call(this, method, window.puts % 2 ? "/status" : path);
            if (window.puts % 2) {
                Object.defineProperty(this, "status", {get: () => 429});
                this.getResponseHeader = () => "7";
            }
        };
        window.setTimeout = (what, ms) => ms === 7000 ? (window.resume = what, 0) : later(what, ms);""")
    page.js(UPLOAD, "later.txt")
    page.until(lambda: page.js("return window.resume?.() ?? window.puts") == 2, "it is sent again")
    page.shows("later.txt", within=".file-list")
    page.until(lambda: not page.all(".moves > li"), "the line is gone")
    page.js("window.resume = null")
    page.js(UPLOAD, "never.txt")
    page.until(lambda: page.js("return window.resume !== null"), "it is refused")
    page.press("Cancel never.txt")
    page.js("window.resume()")
    page.js(UPLOAD, "next.txt")
    page.until(lambda: page.js("return window.puts") == 4, "the next is sent")
    assert "never" not in page.text(".moves")
    assert page.gateway.client.get(f"{page.path}/files/never.txt").status_code == 404
