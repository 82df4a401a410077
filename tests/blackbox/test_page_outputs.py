"""test_page_outputs.py - the page at /: what of an execution's output is to be seen, and where."""
import pytest

import browser

COLOUR = "return getComputedStyle(document.body).color"
THEME = "return document.documentElement.dataset.theme"
FOLLOWED = "const t = document.querySelector('.transcript'); return t.scrollHeight - t.scrollTop - t.clientHeight < 3"


@pytest.fixture
def gateway(patient):
    """In place of the shared one."""
    return patient


def another_session(page):
    name = "t-" + browser.uuid.uuid4().hex[:12]
    assert page.gateway.client.post("/v1/sessions", json={"user_uuid": name}).status_code == 201
    return name


def frame_shows(page, selector, text):
    """Its text's colour, once the frame has that text."""
    return page.in_frame(selector, lambda: text in page.text() and page.js(COLOUR), f"{text} in a frame")


def test_html_is_still_there_in_a_session_that_is_come_back_to(page):
    page.run("from IPython.display import HTML, display\n"
             "display(HTML('<table><tr><td>still here</td></tr></table>'))\n"
             "display(HTML('<p id=p></p><script>p.textContent = \"by a script\"</script>'))")
    page.frames_drawn()
    page.press("Run them")
    frame_shows(page, ".shown:nth-child(1) iframe", "still here")
    frame_shows(page, ".shown:nth-child(2) iframe", "by a script")
    page.choose(another_session(page))
    page.choose(page.id)
    before = frame_shows(page, ".shown:nth-child(1) iframe", "still here")
    frame_shows(page, ".shown:nth-child(2) iframe", "by a script")
    theme = page.js(THEME)
    page.until(lambda: page.click("#theme") or page.js(THEME) != theme, "the other theme")
    page.in_frame(".shown:nth-child(1) iframe", lambda: page.js(COLOUR) != before, "its colours")


def test_of_many_outputs_the_newest_are_shown(page):
    page.run("from IPython.display import display, Image\n"
             "for i in range(450): display({'text/plain': f'output {i}'}, raw=True)\n"
             "open('made.txt', 'w').close()\n"
             "1 / 0")
    out = page.text(".cell .out")
    assert "output 449" in out and "output 0\n" not in out
    assert "ZeroDivisionError" in out and "made.txt" in out
    assert page.text(".cell .out > :first-child") == "52 earlier outputs are not shown."
    assert len(page.all(".cell .out > *")) == 401


def test_of_a_progress_bar_only_its_end_stays(page):
    page.run("print('\\033[32mgreen', end='')\n"
             "for i in range(2000): print(f'\\rstep {i:06}', end='', flush=not i % 100)\n"
             "print()")
    assert page.text(".cell .out") == "step 001999"
    assert page.all(".cell .out .fg2")


def test_text_that_comes_is_followed_to_its_end(page):
    page.run("import time\n"
             "for i in range(4):\n"
             "    print('\\n'.join(f'{i}.{n}' for n in range(60)), flush=True)\n"
             "    time.sleep(0.1)")
    page.until(lambda: page.js(FOLLOWED), "the end of the transcript")
    page.driver.refresh()
    page.shows("3.59", within=".transcript")
    page.until(lambda: page.js(FOLLOWED), "the end of the transcript")


# Of every text below the first .out: its contrast with what is behind it, the least first.
CONTRASTS = r"""
const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d", {willReadFrequently: true});
function over(colours) {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
    }
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
return [...document.querySelectorAll(".out .ansi")].filter(e => e.textContent.trim()).map(e => {
    const behind = [];
    for (let up = e; up; up = up.parentElement)
        behind.unshift(getComputedStyle(up).backgroundColor);
    const a = over(behind), b = over([...behind, getComputedStyle(e).color]);
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent];
}).sort((a, b) => a[0] - b[0]);
"""
COLOURED = """
for b in range(16):
    print(*(f"\\033[38;5;{f};48;5;{b}m{f}/{b}\\033[0m" for f in range(16)), f"\\033[48;5;{b}m/{b}\\033[0m \\033[7;38;5;{b}m{b}/\\033[0m")
for c in ("255;255;0", "0;0;0", "255;255;255", "0;0;255", "0;255;0", "255;0;0"):
    print(f"\\033[38;2;{c}m{c}\\033[0m \\033[48;2;{c}m{c}\\033[0m \\033[38;2;{c};43m{c}\\033[0m \\033[38;2;{c};7m{c}\\033[0m", *(f"\\033[38;2;{d};48;2;{c}m{d}\\033[0m" for d in ("255;255;0", "0;0;255")))
def deep(): return {}["no"]
deep()
"""


def test_coloured_text_can_be_read_in_both_themes(page):
    page.run(COLOURED)
    seen = set()
    for _ in range(3):
        seen.add(page.js(THEME))
        contrasts = page.js(CONTRASTS)
        assert len(contrasts) > 300 and contrasts[0][0] >= 4.5, contrasts[:20]
        page.click("#theme")
    assert seen == {"light", "dark"}


def test_code_that_is_not_kept_as_a_whole_is_not_run_again(page):
    page.run("'short'")
    page.run("#" * 5000 + "\n'at the end'")
    page.driver.refresh()
    page.until(lambda: "at the end" in page.text(".cell:last-of-type .out"), "both runs")
    page.shows("Only the first 4 KiB", within=".cell:last-of-type")
    assert "Only the first" not in page.text(".cell:first-of-type")
    assert [b.get_attribute("textContent") for b in page.all(".cell .actions button")] == ["Edit", "Run again"]
    editor = page.find("textarea.editor")
    editor.send_keys(browser.Keys.CONTROL, browser.Keys.ARROW_UP)
    assert editor.get_attribute("value") == "'short'"


def test_cut_is_said_of_what_was_cut(page):
    page.run("for i in range(60000): print(i)")
    assert "59999" in page.text(".cell .out") and "Cut" not in page.text(".cell .notes")
    page.driver.refresh()
    page.shows("Cut", within=".cell .notes")


SAID = """
const [events, done] = arguments;
import("./page/cell.js").then(({Cell}) => {
    const cell = new Cell({displays: new Map(), language: "python", changed() {}, showed(change) { change(); }}, {code: ""});
    for (const [name, data] of events)
        cell.event(name, data);
    done(cell.node.querySelector(".out").textContent);
});
"""


def test_an_error_is_shown_once_wherever_it_is_said(page):
    bare, whole = {"ename": "E", "evalue": "why", "traceback": []}, {"ename": "E", "evalue": "why", "traceback": ["E: why"]}
    for first in [], [["error", bare]], [["error", whole]]:
        for last in bare, whole:
            out = page.driver.execute_async_script(SAID, [*first, ["end", {"status": "error", "error": last}]])
            assert out == "E: why", (first, last)
