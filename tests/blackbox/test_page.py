"""test_page.py - the page at /, in a real browser: what a person sees and does."""
import contextlib
import os
import urllib.parse

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

import browser
from cutting import Relay
from harness import eventually


@pytest.fixture
def gateway(patient):
    """In place of the shared one."""
    return patient


def idle(page):
    page.until(lambda: page.js("return document.querySelector('.session-head .state').dataset.state") == "idle", "the kernel is free")


def test_link_with_token_connects_and_a_session_is_made(open_page):
    page = open_page(session=False)
    page.shows("once one is open", within="#panel")
    page.press("New session", within="#work")
    assert page.run("a = 41\nprint('sum', a + 1)") == "sum 42"
    assert page.gateway.token not in page.driver.current_url
    assert "session=page-" in page.driver.current_url
    asked = page.js("return performance.getEntriesByType('resource').map(e => e.name)")
    own = urllib.parse.urlsplit(page.gateway.url).netloc
    assert asked and all(urllib.parse.urlsplit(u).netloc == own for u in asked if u.startswith("http"))


def test_wrong_token_is_asked_for_again(page):
    page.clear()
    page.driver.get("about:blank")
    page.driver.get(f"{page.gateway.url}/#token=wrong")
    field = page.find("#token")
    page.shows("does not accept this token")
    field.send_keys(page.gateway.token, Keys.ENTER)
    page.choose(page.id)


def test_output_comes_as_it_is_printed_and_input_is_asked_for(page):
    page.begin("print('first')\nname = input('who? ')\nprint('hello', name)")
    page.shows("first", "who?", within=".cell .out")
    page.until(lambda: page.js("return document.activeElement.closest('.stdin') !== null"), "the input has the focus")
    page.driver.switch_to.active_element.send_keys("you", Keys.ENTER)
    page.shows("hello you", within=".cell .out")
    page.ended()


def test_interrupt_by_key_keeps_the_state(page):
    page.run("kept = 7")
    page.js("""  // as long a grace as there is
        const real = window.fetch;
        window.fetch = (path, options) => real(path, path.endsWith("/interrupt") ? {...options, body: '{"grace": 60}'} : options);""")
    page.begin("print('on it', flush=True)\nwhile True: pass")
    page.shows("on it", within=".cell:last-of-type .out")
    page.find("textarea.editor").send_keys(Keys.CONTROL, "c")
    page.ended()
    page.shows("KeyboardInterrupt", within=".cell:last-of-type .out")
    assert page.run("kept") == "7"


def test_plot_table_and_colours(page):
    page.run("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
    page.until(lambda: page.js("return [...document.querySelectorAll('.out img')].some(i => i.complete && i.naturalWidth > 100)"), "a picture")
    page.run("1 / 0")
    page.shows("ZeroDivisionError", "division by zero", within=".cell:last-of-type .trace")
    assert page.all(".trace .ansi")
    page.run("print('0 %', end='')\nprint('\\r100 %')")
    assert page.text(".cell:last-of-type .out") == "100 %"
    page.run("for i in range(30000): print(i)")
    assert "29999" in page.text(".cell:last-of-type .out") and "Download" in page.text(".cell:last-of-type .out")


def test_a_reload_keeps_it_all(page):
    page.run("x = 41; print('before')")
    page.begin("print('under way', flush=True)\nwho = input('?')\nprint('after', x + 1)")
    page.shows("under way", within=".cell:last-of-type .out")
    page.driver.refresh()
    page.until(lambda: len(page.all(".cell")) == 2, "both runs")
    page.shows("before", within=".cell .out")
    page.shows("under way", within=".cell:last-of-type .out")
    page.find(".stdin input").send_keys("go", Keys.ENTER)
    page.shows("after 42", within=".transcript")
    page.ended()
    page.tab("history")
    page.until(lambda: len(page.visible(".past-run")) == 2, "the history")


def test_a_connection_that_breaks_is_taken_up_again(gateway, open_page):
    with contextlib.closing(Relay(gateway, lambda n: None)) as line:
        page = open_page(url=line.url)
        page.begin("import os, time\n"
                   "for i in range(150):\n"
                   "    print(f'line {i}', flush=True)\n"
                   "    while i == 75 and not os.path.exists('go'): time.sleep(0.02)")
        page.shows("line 75", within=".cell .out")
        line.open = False
        line.cut_all()
        page.shows("cannot be reached", within="#banner")
        page.shows("Connection lost", within=".cell .notes")
        assert gateway.client.put(f"{page.path}/files/go", content=b"").status_code == 201
        line.open = True
        page.ended()
        assert page.text(".cell .out .stdout").split("\n") == [f"line {i}" for i in range(150)]
        page.until(lambda: not page.visible("#banner"), "the banner is gone")
        page.driver.get_log("browser")


def test_files_up_down_and_away(page, tmp_path):
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n")
    page.shows("No files here yet", within=".files")
    page.all(".files input[type=file]")[0].send_keys(str(tmp_path / "numbers.csv"))
    page.shows("numbers.csv", "8 bytes", within=".file-list")
    page.js("""
        const data = new DataTransfer();
        data.items.add(new File(["dropped"], "drop.txt"));
        document.querySelector(".files").dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}))""")
    page.shows("drop.txt", within=".file-list")
    output = page.run("open('made.txt', 'w').write('by code')\nopen('drop.txt').read()")
    assert output.startswith("'dropped'\n") and output.endswith("\nFiles created: made.txt")
    page.shows("made.txt", within=".file-list")
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.press("Download made.txt")
    eventually(lambda: os.path.exists(tmp_path / "made.txt") and (tmp_path / "made.txt").read_text() == "by code")
    page.press("numbers.csv", within=".file-list")
    page.shows("1,2", within=".preview")
    page.press("Delete numbers.csv", until=lambda: page.visible("#ask-yes"))
    page.confirm()
    page.until(lambda: "numbers.csv" not in page.text(".file-list"), "it is gone")
    assert page.gateway.client.get(f"{page.path}/files/numbers.csv").status_code == 404


def test_variables_and_usage(page):
    page.tab("variables")
    page.run("answer = 42\nnames = ['x', 'y']")
    page.shows("answer", "int", "42", "list 2", within="#panel")
    page.tab("usage")
    page.shows("Memory", "MiB at its peak", "python3", within="#panel")


def test_tests_and_rewards(page):
    page.press("Tests", within=".composer")
    page.find(".t-text").send_keys("mean([1, 3]) == 2")
    page.press("Add a test")
    page.visible(".t-text")[1].send_keys("mean([]) == 0")
    page.visible(".t-reward")[1].send_keys(Keys.BACKSPACE, "2")
    page.run("def mean(v): return sum(v) / len(v)")
    page.shows("passed", "ZeroDivisionError", "Reward 1 of 3", "1 of 2 passed", within=".tests-out")


def test_completion_and_inspection(page):
    page.run("wonderful_name = wonderful_news = 1")
    idle(page)
    editor = page.type("wonderful_na")
    editor.send_keys(Keys.TAB)
    page.until(lambda: editor.get_attribute("value") == "wonderful_name", "the completion")
    idle(page)
    page.type("wonderful_n").send_keys(Keys.TAB)
    page.shows("wonderful_name", "wonderful_news", within=".matches")
    editor.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert editor.get_attribute("value") == "wonderful_news"
    idle(page)
    page.type("len").send_keys(Keys.SHIFT, Keys.TAB)
    page.shows("number of items", within=".about")
    editor.send_keys(Keys.ESCAPE)
    assert not page.visible(".about")
    page.type("").send_keys(Keys.TAB)
    assert editor.get_attribute("value") == "    "
    editor.send_keys(Keys.ESCAPE, Keys.TAB)
    assert page.driver.switch_to.active_element != editor


def test_a_question_of_the_page_is_no_run(page):
    page.run("wonderful_name = 1")
    idle(page)
    page.js("""  // while the kernel is asked, one list says that it is busy, and no other comes
        const real = window.fetch, held = new Promise(done => { window.letGo = done; });
        window.lists = 0;
        window.fetch = async (path, options) => {
            if (path.endsWith("/complete")) {
                window.asking = true;
                await held;
            } else if (window.asking && path.startsWith("v1/sessions?")) {
                if ((window.lists += 1) > 1)
                    await new Promise(() => {});
                const list = await (await real(path, options)).json();
                return new Response(JSON.stringify({...list, sessions: list.sessions.map(one => ({...one, state: "busy"}))}));
            }
            return real(path, options);
        };""")
    editor = page.type("wonderful_n")
    editor.send_keys(Keys.TAB)
    page.until(lambda: page.js("return window.lists") >= 2, "the first list has been taken")
    page.js("letGo()")
    page.until(lambda: editor.get_attribute("value") == "wonderful_name", "the completion")
    page.type("len").send_keys(Keys.SHIFT, Keys.TAB)
    page.shows("number of items", within=".about")


RICH = r"""
from IPython.display import display
def show(kind, value): display({kind: value}, raw=True)
show("text/markdown", "# Title\n\n* one\n* **two** and $x^2$\n\n| a | b |\n|---|---|\n| 1 | 2 |")
show("text/latex", r"$\displaystyle \frac{\sqrt{x}}{2} + \sum_{i=0}^n \alpha_i$")
show("text/latex", r"\unknowncommand{x}")
show("application/json", {"list": [1, {"deep": None}], "text": "json text"})
show("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><circle r="20"/></svg>')
show("text/html", "<table><tr><td>cell of html</td></tr></table>")
show("application/vnd.vegalite.v5+json", {"mark": "bar", "data": {"values": [{"c": "A", "n": 3}, {"c": "B", "n": 5}]},
     "encoding": {"x": {"field": "c"}, "y": {"field": "n"}}})
show("application/vnd.plotly.v1+json", {"data": [{"type": "scatter", "y": [1, 4, 9], "name": "squares"}], "layout": {"title": {"text": "Plotly title"}}})
show("application/vnd.vega.v5+json", {"marks": []})
h = display({"text/plain": "before"}, raw=True, display_id="d")
h.update({"text/plain": "updated"}, raw=True)
"""


def test_every_kind_of_output(page):
    out = page.run(RICH)
    for word in ("Title", "two", "json text", "Plotly title", "\\unknowncommand{x}", "updated"):
        assert word in out, word
    assert "before" not in out
    for selector in (".md-out li strong", ".md-out math", ".md-out table.data", ".tex-out mfrac msqrt", ".tex-out munderover", ".json-out details",
                     ".chart rect", ".chart path.series", ".chart-out .json-out"):
        assert page.all(selector), selector
    page.until(lambda: page.js("return [...document.querySelectorAll('.figure img')].some(i => i.naturalWidth === 40)"), "the drawing")
    page.in_frame(".html-out iframe", lambda: "cell of html" in page.text(), "the HTML")
    page.until(lambda: page.find(".html-out iframe").size["height"] not in (0, 48), "the frame is as high as what is in it")


def test_another_language(open_page):
    page = open_page(session=False)
    page.click("#new-session")
    page.until(lambda: page.js("return document.querySelector('#new-kernel').options.length") > 1, "the languages")
    page.js("document.querySelector('#new-kernel').value = 'bash'")
    page.click("#new-go")
    assert page.run("x=shell; echo in $x") == "in shell"


def test_a_crash_is_told_and_so_is_the_fresh_environment(page):
    page.run("import os; os._exit(3)")
    page.shows("Environment ended", "exited with status 3", within=".cell")
    page.run("print('again')")
    page.shows("Fresh environment", "again", within=".cell:last-of-type")
    page.press("Restart: variables go, files stay")
    page.confirm()
    page.shows("Restarted", within=".transcript")


def test_sessions_are_listed_switched_and_closed(page):
    other = browser.uuid.uuid4().hex
    page.run("mine = 1")
    page.gateway.client.post("/v1/sessions", json={"user_uuid": other})
    page.choose(other)
    page.run("mine")
    page.shows("NameError", within=".cell")
    page.choose(page.id)
    assert page.run("mine") == "1"
    page.gateway.release(page.id)
    page.shows("Session ended", within=".transcript")
    page.press("Begin anew")
    assert page.run("'anew'") == "'anew'"
    page.press("Close: end the session")
    page.confirm()
    page.until(lambda: page.gateway.session(page.id) is None, "the session is gone")


def test_a_server_that_is_gone_is_told_until_it_is_back(driver, make_gateway):
    gateway = make_gateway(min_idle_workers=1)
    page = browser.Page(driver, gateway)
    page.run("x = 5")
    gateway.kill9()
    page.shows("cannot be reached", within="#banner")
    gateway.settings["listen"] = urllib.parse.urlsplit(gateway.url).netloc
    gateway.start()
    page.until(lambda: not page.visible("#banner"), "the banner goes")
    assert page.run("x") == "5"
    page.clear()
    driver.get_log("browser")


def test_fits_a_phone(page):
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 400, "height": 740, "deviceScaleFactor": 2, "mobile": True})
    try:
        page.run("print('small')")
        page.shows("small")
        assert page.js("return document.documentElement.scrollWidth") <= 400
        page.click("#show-panel")
        page.shows("No files here yet", within="#panel")
        page.press("Close", within="#panel")
        page.click("#show-sessions")
        page.find(".side-link")
        page.choose(page.id)
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_keys_reach_every_part(page):
    parts = []
    for _ in range(4):
        ActionChains(page.driver).send_keys(Keys.F6).perform()
        parts.append(page.js("const e = document.activeElement; return e.className || e.id"))
    assert len(set(parts)) == 4, parts
    for tab in page.all("[role=tab]"):
        tab.click()
        assert page.unnamed() == [], tab.text


def test_a_server_without_packages_says_so(page):
    page.tab("packages")
    page.shows("no source of packages", "TCI_PACKAGES_DIR", within="#panel")
    assert not page.visible(".package-form")
