"""test_page.py - the page at /, in a real browser: what a person sees and does."""
import urllib.parse

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import harness

LIMIT = 60 * harness.slack()


@pytest.fixture(scope="module")
def browser():
    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    yield driver
    driver.quit()


class Page:
    def __init__(self, driver, gateway):
        self.driver = driver
        self.gateway = gateway
        driver.get("about:blank")
        driver.get(f"{gateway.url}/#token={gateway.token}")
        self.until(self.editors, "an editor")

    def until(self, condition, what):
        """What the condition gives once it holds.  The page draws anew while it is looked at: an element that went
        in between is looked for again."""
        wait = WebDriverWait(self.driver, LIMIT, poll_frequency=0.1,
                             ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition(), what)

    def visible(self, selector):
        return [e for e in self.driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()]

    def editors(self):
        return self.visible("textarea.editor")

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def run(self, code, session=0):
        editor = self.editors()[session]
        editor.click()
        self.driver.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            editor, code)
        editor.send_keys(Keys.CONTROL, Keys.ENTER)

    def press(self, label, which=0):
        def pressed():
            buttons = [b for b in self.visible("button") if b.text.strip() == label]
            if len(buttons) <= which:
                return False
            buttons[which].click()
            return True
        self.until(pressed, f"a button {label}")

    def shows(self, *words):
        self.until(lambda: all(word in self.text() for word in words), f"{words} on the page")

    def new_session(self):
        n = len(self.editors())
        self.driver.find_element(By.ID, "new-session").click()
        self.until(lambda: len(self.editors()) > n, "another editor")

    def users(self):
        return self.until(lambda: [e.text for e in self.visible(".uuid")], "a session's name")


@pytest.fixture
def page(browser, gateway):
    browser.get_log("browser")
    page = Page(browser, gateway)
    yield page
    browser.execute_script("sessionStorage.clear(); localStorage.clear()")
    # A refused policy shows here; answers with an error status are the gateway's, and meant.
    problems = [e for e in browser.get_log("browser") if "Failed to load resource" not in e["message"]]
    assert problems == []


def test_link_with_token_connects_and_hides_it(page):
    assert page.gateway.token not in page.driver.current_url
    assert "#" not in page.driver.current_url
    page.shows("assigned", "warm")


def test_wrong_token_is_asked_for_again(page):
    page.driver.execute_script("sessionStorage.clear()")
    page.driver.get("about:blank")
    page.driver.get(f"{page.gateway.url}/#token=wrong")
    page.until(lambda: page.visible("#token"), "the question for the token")
    page.visible("#token")[0].send_keys(page.gateway.token, Keys.ENTER)
    page.until(page.editors, "an editor")


def test_state_is_kept(page):
    page.run("a = 41")
    page.shows("[1]")
    page.run("print('sum', a + 1)")
    page.shows("sum 42")


def test_two_sessions_are_apart(page):
    page.run("a = 'first'; print('one', a)")
    page.shows("one first")
    page.new_session()
    page.run("a", session=1)
    page.shows("NameError")
    assert len(set(page.users())) == 2


def test_plot(page):
    page.run("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);")
    page.until(lambda: page.driver.execute_script(
        "return [...document.querySelectorAll('#board img')].some(i => i.complete && i.naturalWidth > 100)"), "a picture")


def test_exception(page):
    page.run("1 / 0")
    page.shows("ZeroDivisionError", "division by zero")


@pytest.mark.parametrize("code", [
    "print('<img src=x onerror=\"document.title=1\"><b id=evil>bold</b>')",
    "raise type('<b id=evil>', (Exception,), {})('<script id=evil>document.title=1</script>')",
    "'<b id=evil>' + 'value</b>'",
    "print('\\x1b[31m<b id=evil>red</b>\\x1b[0m')",
])
def test_output_is_never_markup(page, code):
    page.run(code)
    page.shows("[1]")
    page.until(lambda: "evil" in page.driver.find_element(By.ID, "board").text.replace(code, ""), "the output")
    assert not page.driver.find_elements(By.ID, "evil")
    assert page.driver.title == "The Code Interpreter"


def test_timeout_notice(page):
    page.run("kept = 1")
    page.shows("[1]")
    editor = page.visible("input[aria-label^='Time limit']")[0]
    editor.send_keys("1")
    page.run("while True: pass")
    page.shows("The code ran longer than 1 s")
    page.run("print('again')")
    page.shows("again")


def test_crash_notice(page):
    page.run("import os; os._exit(3)")
    page.shows("exited with status 3")


def test_release(page):
    user = page.users()[0]
    page.run("print('here')")
    page.shows("here")
    assert page.gateway.session(user) is not None
    page.press("Release")
    page.until(lambda: page.gateway.session(user) is None, "the session is gone")


def test_talks_to_its_own_origin_only(page):
    page.run("print('traffic')")
    page.shows("traffic")
    asked = page.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    own = urllib.parse.urlsplit(page.gateway.url).netloc
    assert asked and all(urllib.parse.urlsplit(u).netloc == own for u in asked if u.startswith("http"))


def test_fits_a_phone(page):
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
    try:
        page.run("print('small')")
        page.shows("small")
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
