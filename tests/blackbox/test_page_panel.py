"""test_page_panel.py - the page at /: what is beside the transcript is of the session that is looked at, as it is now; and where
the keyboard's focus goes."""
import pytest

from browser import Keys
from test_page_outputs import another_session
from test_page_runs import STARTING, meddle

# Answers to requests of these paths wait until they are let go.
HELD = """
const fetched = window.fetch, held = new Promise(resolve => { window.letGo = resolve; });
window.fetch = async (path, options) => {
    if (path.includes(arguments[0]))
        await held;
    return fetched(path, options);
};
"""


def put(page, session, name):
    assert page.gateway.client.put(f"/v1/sessions/{session}/files/{name}", content=b"text of it").status_code == 201


def asleep(page):
    page.run("import os; os._exit(3)")
    page.until(lambda: page.visible(".session-head .state[data-state=stopped]"), "the session is asleep")


def test_what_wakes_a_session_is_listed_at_once(page, tmp_path):
    asleep(page)
    page.run("made = 1; open('made.txt', 'w').close()")
    page.shows("made.txt", within=".file-list")
    page.tab("variables")
    page.shows("made", "int", within="#panel")
    page.press("Restart: variables go, files stay")
    page.confirm()
    page.until(lambda: "int" not in page.text("#panel"), "the variable is gone")
    page.tab("files")
    asleep(page)
    (tmp_path / "up.txt").write_text("up")
    page.all(".files input[type=file]")[0].send_keys(str(tmp_path / "up.txt"))
    page.shows("up.txt", within=".file-list")


def test_variables_go_with_a_restart_that_takes_long(page):
    page.tab("variables")
    page.run("made = 1")
    page.shows("made", within=".variables")
    meddle(page, STARTING)
    page.press("Restart: variables go, files stay")
    page.confirm()
    page.shows("when the kernel is ready", within="#panel")
    assert not page.visible(".variables")
    page.js("window.meddle = null")
    page.shows("Nothing is defined yet", within="#panel")


def test_of_another_session_nothing_is_left(page):
    other = another_session(page)
    put(page, page.id, "mine.txt")
    page.run("1")
    page.shows("mine.txt", "used", within=".files")
    page.js(HELD, f"/{other}")
    page.choose(other, load=False)
    assert "mine.txt" not in page.text("#panel") and "used" not in page.text("#panel")
    for tab, parts in ("usage", ".gauge, .facts dd"), ("history", ".past-run"):
        page.choose(page.id)
        page.tab(tab)
        page.until(lambda parts=parts: page.visible(parts), f"what {tab} shows")
        page.choose(other, load=False)
        assert not page.visible(parts), tab
    page.js("letGo()")
    page.shows("Nothing has run yet", within="#panel")
    page.tab("files")
    page.shows("No files here yet", within=".files")


def test_two_clicks_are_one_preview(page):
    put(page, page.id, "one.txt")
    page.press("Look again")
    page.shows("one.txt", within=".file-list")
    page.js(HELD, "/files/one.txt")
    page.js("""
        window.most = 0;
        new MutationObserver(() => { most = Math.max(most, document.querySelectorAll(".preview-head").length); })
            .observe(document.querySelector(".preview"), {childList: true});
        for (let i = 0; i < 2; i++)
            document.querySelector("[data-path='one.txt']").click();
        letGo()""")
    page.until(lambda: page.js("return performance.getEntriesByType('resource').filter(e => e.name.includes('/files/one.txt')).length") == 2, "both answers")
    page.shows("text of it", within=".preview")
    assert page.js("return most") == 1


@pytest.mark.parametrize("keys, forward", [((Keys.TAB,), True), ((Keys.SHIFT, Keys.TAB), False)])
def test_escape_and_tab_leave_the_editor_either_way(page, keys, forward):
    editor = page.type("len")
    editor.send_keys(Keys.ESCAPE)
    editor.send_keys(*keys)
    assert page.js("return Math.sign(arguments[0].compareDocumentPosition(document.activeElement) & Node.DOCUMENT_POSITION_FOLLOWING)", editor) == forward
    assert page.driver.switch_to.active_element != editor


def test_the_list_of_sessions_is_not_drawn_anew(page):
    page.run("1")
    page.until(lambda: page.visible(".session-row[aria-current][data-state=idle]"), "the session is ready")
    page.js("""
        window.drawn = 0;
        new MutationObserver(() => { window.drawn += 1; }).observe(document.querySelector("#session-list"), {childList: true, subtree: true});
        const fetched = window.fetch;
        window.polls = 0;
        window.fetch = async (path, options) => { if (path.startsWith("v1/sessions?")) window.polls += 1; return fetched(path, options); }""")
    page.until(lambda: page.js("return polls") >= 2, "the list is asked for, and taken")
    assert page.js("return drawn") == 0
    other = another_session(page)
    page.choose(other)
    assert page.js("return document.querySelector('[aria-current=true]').dataset.name") == f"/{other}"
    assert len(page.all(".session-row[aria-current]")) == 1


def test_the_focus_stays_in_a_cell_whose_buttons_change(page):
    page.begin("print('on it', flush=True)\nwhile True: pass")
    page.shows("on it", within=".cell .out")
    page.js("document.querySelector('.cell .actions button').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.ended()
    assert page.js("return document.activeElement.closest('.cell') !== null")
