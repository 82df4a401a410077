"""test_page_attacks.py - the page at /, and what code would make of whoever looks at what it shows."""
import select
import socket
import urllib.parse

import pytest

import browser

EVIL = "document.title = window.evil = 'evil'"
HTML_ATTACK = f"""<img src=x onerror="parent.{EVIL}"><b id=evil>bold</b><a id=way target=_top href="javascript:{EVIL}">x</a>
<form action=/v1/sessions method=post target=_top><button>b</button></form><meta http-equiv=refresh content="20;url=http://127.0.0.1:9/">
<script>
try {{ parent.document.title = "evil"; }} catch (e) {{ }}
try {{ top.location = "about:blank"; }} catch (e) {{ }}
try {{ parent.evil = localStorage.length; }} catch (e) {{ }}
try {{ parent.evil = document.cookie; }} catch (e) {{ }}
parent.postMessage({{ready: true, height: "<b id=evil>", html: "<b id=evil>"}}, "*");
fetch("/v1/sessions").then(() => parent.postMessage({{height: 555}}, "*"), () => setInterval(() => parent.postMessage({{height: 333}}, "*"), 50));
</script>"""


@pytest.fixture
def gateway(patient):
    """In place of the shared one."""
    return patient


@pytest.fixture
def page(driver, gateway):
    driver.get_log("browser")
    page = browser.Page(driver, gateway)
    yield page
    assert not page.all("#evil")
    assert page.driver.title == "The Code Interpreter"
    assert page.js("return window.evil") is None
    assert page.driver.current_url.startswith(gateway.url)
    page.clear()
    assert page.problems(frames=False) == []


def test_html_cannot_reach_the_page(page):
    page.run(f"from IPython.display import HTML, display\ndisplay(HTML({HTML_ATTACK!r}))")
    assert page.find(".html-out iframe").get_attribute("sandbox") == "allow-scripts"
    assert page.in_frame(".html-out iframe", lambda: page.all("#evil") and page.js("return self.origin"), "the HTML is there") == "null"
    assert not page.all("#evil")


def test_html_that_may_run_its_scripts_cannot_either(page):
    page.run(f"from IPython.display import HTML, display\ndisplay(HTML({HTML_ATTACK.replace('<meta', '<x')!r}))")
    page.frames_drawn()
    page.press("Run them")
    # What it asked the server for was refused to it: it says 333 and not 555.
    page.until(lambda: page.find(".html-out iframe").size["height"] == 335, "its script has run")


@pytest.mark.parametrize("html", [
    '<link rel=preconnect href="{url}">',
    '<svg><foreignObject><link rel=preconnect href="{url}"></foreignObject></svg>',
    '<iframe src="{url}/x"></iframe>',
    "<iframe srcdoc='<link rel=preconnect href={url}>'></iframe>",
    '<object data="{url}/x"></object><embed src="{url}/y"><img src="{url}/z"><style>p {{ background: url({url}/c); }}</style><p>x</p>',
])
def test_html_has_nobody_connected_to(page, html):
    """A name that is looked up would be enough to carry something out."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        page.run(f"from IPython.display import HTML, display\ndisplay(HTML({html.format(url=url) + '<b id=there>x</b>'!r}))")
        page.in_frame(".html-out iframe", lambda: page.all("#there"), "the HTML is there")
        assert not select.select([server], [], [], 1)[0]


@pytest.mark.parametrize("code", [
    "print('<img src=x onerror=\"document.title=1\"><b id=evil>bold</b>')",
    "raise type('<b id=evil>', (Exception,), {})('<script id=evil>document.title=1</script>')",
    "'<b id=evil>' + 'value</b>'",
    "print('\\x1b[31m<b id=evil>red</b>\\x1b]8;;javascript:alert(1)\\x07link\\x1b]8;;\\x07\\x1b[0m')",
])
def test_text_is_never_markup(page, code):
    page.run(code)
    page.shows("evil", within=".cell .out")


def test_drawings_do_not_run_scripts(page):
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" width="30" height="30" onload="parent.{EVIL}"><script>parent.{EVIL}</script>
        <foreignObject width="9" height="9"><b xmlns="http://www.w3.org/1999/xhtml" id="evil">x</b></foreignObject><rect width="9" height="9"/></svg>"""
    page.run(f"from IPython.display import SVG, display\ndisplay(SVG(data={svg!r}))")
    page.until(lambda: page.js("return [...document.querySelectorAll('.figure img')].some(i => i.naturalWidth === 30)"), "the drawing")
    assert page.js("return [...document.querySelectorAll('.figure a, .figure img')].every(e => (e.href ?? e.src).startsWith('data:image/svg+xml'))")


def test_markdown_is_no_markup(page):
    text = f"""# <b id=evil>head</b>
<script id=evil>{EVIL}</script> <img src=x onerror="{EVIL}">
[one](javascript:{EVIL}) [two]( JaVaScRiPt:{EVIL}) [three](data:text/html,<script>{EVIL}</script>) <javascript:alert(1)>
![p](https://127.0.0.1:9/p.png) ![q](javascript:{EVIL}) [good](https://example.org/)
"""
    page.run(f"from IPython.display import Markdown, display\ndisplay(Markdown({text!r}))")
    page.shows("one", "three", "good", within=".md-out")
    assert [a.get_attribute("href") for a in page.all(".md-out a")] == ["https://example.org/"]
    assert not page.all(".md-out img, .md-out script")


def test_names_are_no_markup(page):
    name = "<img id=evil src=x onerror=document.title=1>.txt"
    assert page.gateway.client.put(f"{page.path}/files/{urllib.parse.quote(name, safe='')}", content=b"x").status_code == 201
    page.press("Look again")
    page.shows(name, within=".file-list")
    page.press(f"Delete {name}", until=lambda: page.visible("#ask-yes"))
    page.shows(name, within="#ask-dialog")
    page.confirm()
    page.until(lambda: name not in page.text(".file-list"), "it is gone")
    page.tab("variables")
    page.run("class Evil:\n    def __repr__(self): return '<b id=evil>shown</b>'\nevil = Evil()")
    page.shows("<b id=evil>shown</b>", within="#panel")
    page.tab("history")
    page.shows("class Evil", within="#panel")


def test_prompts_tests_and_bundles_are_no_markup(page):
    page.press("Tests", within=".composer")
    page.find(".t-name").send_keys("<b id=evil>name</b>")
    page.find(".t-text").send_keys("int('<b id=evil>')")
    page.begin("x = input('<b id=evil>prompt</b>')\nfrom IPython.display import display\n"
               "for kind in ('application/json', 'text/latex', 'application/vnd.plotly.v1+json', 'application/vnd.vegalite.v5+json'):\n"
               "    for value in ('<b id=evil>', None, [], {'data': '<b id=evil>'}, {'data': [None, {'y': '<b id=evil>'}]}, {'mark': {'type': []}}):\n"
               "        display({kind: value, '<b id=evil>': value}, raw=True)")
    page.shows("<b id=evil>prompt</b>", within=".stdin")
    page.find(".stdin input").send_keys("<b id=evil>\n")
    page.ended()
    page.shows("<b id=evil>name</b>", "Reward 0 of 1", within=".tests-out")


def test_nothing_holds_the_page(page):
    """Texts that were made for its parsers: each of them would take a minute, or be thrown at, were it read carelessly."""
    page.begin(r"""
from IPython.display import display, Latex, Markdown
display(Markdown('a|b\n' + ' ' * 9000 + '-' + ' ' * 9000 + 'x'), Markdown('# a' + ' ' * 9000 + 'b'), Markdown('$$a\n\n' * 9000),
        Markdown('# a\u2028b'), Latex('$x' + "'" * 15000 + '$'), Latex('$' + r'\hat ' * 3900 + 'x$'), Markdown(r'$\x$' * 9000))
display({'application/vnd.vegalite.v5+json': {'data': {'values': [{'a': 1}] * 50000}, 'mark': 'bar',
                                              'encoding': {'x': {'field': 'a'}, 'y': {'field': 'a'}}}}, raw=True)
display({f'text/{i}': 'x' for i in range(30000)}, raw=True)
print('\r' * 200000 + 'there')
""")
    page.shows("there", within=".cell:last-of-type .out")
    page.ended()
    assert len(page.all(".md-h1")) == 2 and page.all(".chart-out")
