"""A real browser for the page: the chromium that this machine has, headless.

Playwright's own download is not used: tests fetch nothing but packages. Where there is no chromium the tests of the
page in a browser are skipped, and the summary at the end of the run says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_DRAW = Path(__file__).with_name("drawing.js")
_ACCESSIBLE = Path(__file__).with_name("accessible.js")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, or a skip that says what is missing."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(
            "THE PAGE WAS NOT TRIED IN A BROWSER: there is no chromium on the PATH (Debian: apt-get install chromium)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, pictures: Path, **context: Any) -> Iterator[Visit]:
    """A window of its own, which must not have met an error of a script or of the content policy by its end."""
    opened = browser.new_context(**{"viewport": {"width": 1180, "height": 900}, **context})
    page = opened.new_page()
    page.set_default_timeout(60_000)  # On a busy machine the cluster takes its time; waiting ends when it is so.
    visited = Visit(page, pictures)
    try:
        yield visited
    finally:
        opened.close()
    assert not visited.errors, visited.errors


class Visit:
    """A window. errors: what its scripts, or the content policy, have complained of."""

    def __init__(self, page: Page, pictures: Path) -> None:
        self.page = page
        self.errors: list[str] = []
        self._pictures = pictures
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if _is_wrong(said.text) else None)

    def picture(self, name: str) -> None:
        """Keep what is seen, in full length, and look at it as those do who see little or use no mouse."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._pictures / f"{name}.png", full_page=True)
        assert self.barriers() == [], name

    def barriers(self) -> list[str]:
        """What would keep somebody out: no names, little contrast, headings that jump, buttons too small to hit."""
        found: list[str] = self.page.evaluate(_ACCESSIBLE.read_text())
        return found

    def drawing(self, name: str, *, height: int) -> None:
        """Keep what is seen, down to this height, as an SVG: text that a repository can hold (docs/images)."""
        (self._pictures / f"{name}.svg").write_text(self.page.evaluate(_DRAW.read_text(), height) + "\n")

    def says(self, words: str) -> None:
        """Wait until the page says this somewhere."""
        self.page.get_by_text(words).first.wait_for()

    def state(self, word: str) -> None:
        """Wait for the state at the top of a Rollout."""
        self.page.locator("#head .state .badge", has_text=word).wait_for()

    def ready(self, button: str) -> None:
        """Wait until a button can be pressed."""
        self.page.locator(f"#do-{button}[aria-disabled=false]:visible").wait_for()

    def press(self, button: str, *, sure: bool = False) -> None:
        """Press a button of a Rollout with the mouse, and say yes where it asks."""
        self.ready(button)
        self.page.click(f"#do-{button}")
        if sure:
            self.page.click("#sure-yes")

    def tab_to(self, selector: str) -> None:
        """Go to an element with the Tab key alone."""
        for _ in range(60):
            if self.page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key does not lead to {selector}")

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        wide: bool = self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return wide


def _is_wrong(text: str) -> bool:
    return "Content Security Policy" in text or "Trusted" in text or "TypeError" in text
