"""browser.py - the page at / in a real Chromium: what a person does there, and what there is to see."""
import uuid

from selenium import webdriver
from selenium.common.exceptions import (ElementClickInterceptedException, ElementNotInteractableException, JavascriptException,
                                        NoSuchFrameException, NoSuchWindowException, StaleElementReferenceException)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import harness

LIMIT = 60 * harness.slack()
MOVED = (StaleElementReferenceException, ElementNotInteractableException, ElementClickInterceptedException)
CONTROLS = {"button", "checkbox", "combobox", "dialog", "Iframe", "image", "link", "meter", "progressbar", "tab", "tabpanel", "textbox"}

# Of the resources that the browser has fetched for the page, which are no more than 250 unless told otherwise.
HISTORY_IS_THERE = """
performance.setResourceTimingBufferSize(5000);
return performance.getEntriesByType("resource").some(({name}) => name.includes(`/v1/sessions/${arguments[0]}/executions?limit=`))"""


def start():
    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1360,900",
                     "--force-prefers-reduced-motion"):
        options.add_argument(argument)
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_script_timeout(LIMIT)
    return driver


class Page:
    """The page, with a session of its own in it unless told otherwise.  url: where the gateway is reached."""

    def __init__(self, driver, gateway, session=True, url=None, **body):
        self.driver = driver
        self.gateway = gateway
        driver.get("about:blank")
        if session:
            self.id = "t-" + uuid.uuid4().hex[:12]
            made = gateway.client.post("/v1/sessions", json={"user_uuid": self.id, **body})
            assert made.status_code == 201, made.text
        driver.get(f"{url or gateway.url}/#token={gateway.token}")
        if session:
            self.choose(self.id)

    @property
    def path(self):
        return f"/v1/sessions/{self.id}"

    def until(self, condition, what, ignored=()):
        """What the condition gives once it holds.  The page draws anew while it is looked at: an element that went
        or moved in between is looked for again.  ignored: exceptions of the condition that mean "not yet" as well."""
        wait = WebDriverWait(self.driver, LIMIT, poll_frequency=0.05, ignored_exceptions=[*MOVED, *ignored])
        return wait.until(lambda _: condition(), what)

    # --- what there is to see

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def visible(self, selector):
        return [e for e in self.all(selector) if e.is_displayed()]

    def find(self, selector):
        return self.until(lambda: next(iter(self.visible(selector)), None), selector)

    def text(self, selector="body"):
        return self.driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector).strip()

    def shows(self, *words, within="body"):
        self.until(lambda: all(word in self.text(within) for word in words), f"{words} in {within}: {self.text(within)}")

    def in_frame(self, selector, look, what):
        """What look() gives in that frame once it holds.  A frame that loads becomes another one: each look enters it anew."""
        def looked():
            frame = self.find(selector)
            self.js("arguments[0].scrollIntoView()", frame)
            self.driver.switch_to.frame(frame)
            try:
                return look()
            finally:
                self.driver.switch_to.default_content()
        return self.until(looked, what, [NoSuchFrameException, NoSuchWindowException, JavascriptException])

    def frames_drawn(self):
        """Waits until all HTML output has its height: what is below it has its place."""
        self.until(lambda: self.js("const all = [...document.querySelectorAll('.html-out iframe')];"
                                   "return all.length && all.every(frame => frame.style.height)"), "the heights of all frames")

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def problems(self, frames=True):
        """What the console has: refused policies, exceptions.  Answers with an error status are the gateway's, and meant.
        frames: also what it has of the frames with HTML output."""
        found = [e["message"] for e in self.driver.get_log("browser") if "Failed to load resource" not in e["message"]]
        return found if frames else [m for m in found if "frame" not in m.lower() and "/page/live.html" not in m]

    def unnamed(self):
        """The controls that somebody who does not see them is told no name of, by their roles."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        return [node["role"]["value"] for node in tree
                if not node["ignored"] and node["role"]["value"] in CONTROLS and not node["name"]["value"].strip()]

    # --- what is done

    def choose(self, session, load=True):
        """load: waits until its history is there."""
        self.click(f".session-row[data-name='/{session}']")
        self.until(lambda: self.visible("textarea.editor"), "an editor")
        if load:
            self.until(lambda: self.js(HISTORY_IS_THERE, session), "the history")

    def click(self, selector):
        def clicked():
            found = self.visible(selector)
            return bool(found) and (found[0].click() or True)
        self.until(clicked, f"something to click at {selector}")

    def press(self, label, within="body", which=0, until=None):
        """until: what shows that it was taken.  A button that is drawn anew while it is pressed takes nothing, and is pressed again."""
        def pressed():
            if until and until():
                return True
            buttons = [b for b in self.visible(f"{within} button")
                       if label in (b.text.strip(), b.get_attribute("aria-label"))]
            return len(buttons) > which and (buttons[which].click() or not until)
        self.until(pressed, f"a button {label}")

    def confirm(self):
        self.click("#ask-yes")

    def type(self, text):
        editor = self.find("textarea.editor")
        editor.click()
        self.js("arguments[0].value = arguments[1]; arguments[0].setSelectionRange(arguments[1].length, arguments[1].length);"
                "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))", editor, text)
        return editor

    def begin(self, code):
        """Runs it; what is to be seen of it is the last cell."""
        before = len(self.all(".cell"))
        self.type(code).send_keys(Keys.CONTROL, Keys.ENTER)
        self.until(lambda: len(self.all(".cell")) > before, "another run")

    def run(self, code):
        """Runs it to its end: its output, as text."""
        self.begin(code)
        self.ended()
        return self.text(".cell:last-of-type .out")

    def ended(self):
        self.until(lambda: self.js("const all = [...document.querySelectorAll('.cell')];"
                                   "return all.length && all.every(c => ['done', 'failed'].includes(c.dataset.state))"), "the end of all runs")

    def tab(self, name):
        self.click(f"#tab-{name}")

    def clear(self):
        self.js("sessionStorage.clear(); localStorage.clear()")
