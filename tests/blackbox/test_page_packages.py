"""test_page_packages.py - the page's form for packages, in a real browser, on a server with a directory of wheels."""
import pytest
from selenium.webdriver.common.keys import Keys

import wheels


@pytest.fixture(scope="module")
def served(make_module_gateway, tmp_path_factory):
    directory = wheels.house(tmp_path_factory)
    wheels.wheel(directory, "alpha", "1.0")
    wheels.wheel(directory, "alpha", "2.0")
    wheels.wheel(directory, "beta", requires=["alpha<2"])
    return make_module_gateway(min_idle_workers=1, max_total_workers=6, packages_dir=str(directory))


@pytest.fixture
def gateway(served):
    """In place of the shared one."""
    yield served
    for session in served.status()["sessions"]:
        served.release(session["user_uuid"])


def wish(page, text):
    area = page.find(".requirements")
    area.clear()
    area.send_keys(text, Keys.CONTROL, Keys.ENTER)


def test_installed_while_the_tool_is_heard(page):
    page.tab("packages")
    page.shows("Nothing has been installed", within="#panel")
    wish(page, "alpha == 1.0  # why\n")
    page.shows("alpha==1.0", "installed in", "Successfully installed", within=".installation")
    page.shows("alpha==1.0", within=".package-list")
    assert page.run("import alpha; alpha.VERSION") == "'1.0'"
    assert page.gateway.client.get(page.path).json()["packages"] == ["alpha==1.0"]
    wish(page, "beta")
    page.until(lambda: page.text(".package-list").split() == ["alpha==1.0", "beta"], "both are listed")
    assert page.find(".requirements").get_attribute("value") == ""


def test_what_cannot_be_had_is_told_and_can_be_mended(page):
    page.tab("packages")
    page.find(".requirements").send_keys("nowhere")
    page.press("Install", within=".package-form")
    page.shows("not installed", "No matching distribution", within=".installation")
    assert page.find(".requirements").get_attribute("value") == "nowhere"
    assert page.driver.switch_to.active_element == page.find(".requirements")
    wish(page, "--index-url=http://x/")
    page.shows("--index-url=http://x/", "not installed", "packages", within=".installation")
    wish(page, "alpha==2.0")
    page.shows("alpha==2.0", within=".package-list")


def test_a_language_without_a_tool_is_told(open_page):
    page = open_page(kernel="bash")
    page.tab("packages")
    page.shows("no tool", "bash", within="#panel")
    assert not page.visible(".package-form")
