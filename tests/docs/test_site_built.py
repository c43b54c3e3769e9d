"""The site as a browser gets it: MkDocs makes it without a warning, and every link on it leads to a place there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lab.paths import REPOSITORY
from tests.docs.pages import pages
from tests.oracles import python_tools


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environ = {**os.environ, "PYTHONPATH": str(python_tools("site"))}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@dataclass
class Read(HTMLParser):
    """What a page refers to, and what can be referred to within it."""

    targets: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None:
                self.targets.append(value)
            if name in ("id", "name") and value:
                self.places.add(value)


def read(path: Path) -> Read:
    found = Read()
    found.feed(path.read_text())
    return found


def broken(site: Path) -> list[str]:
    """Links of the site's pages that lead nowhere on it."""
    found = {path: read(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    missing = []
    for path, page in found.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            place = unquote(parts.fragment)
            if not there.exists() or (place and there in found and place not in found[there].places):
                missing.append(f"{path.relative_to(site)}: {target}")
    return missing


def test_every_page_of_the_documentation_is_on_the_site(site: Path) -> None:
    for page in pages():
        name = page.removeprefix("docs/").removesuffix(".md")
        folder = site / (name.removesuffix("README") if name.endswith("README") else name)
        assert "<h1" in (folder / "index.html").read_text(), page


def test_every_link_of_the_site_leads_to_a_place_on_it(site: Path) -> None:
    assert broken(site) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "index.html").write_text('<h2 id="here">x</h2>')
    links = ["there/", "there/#here", "there/#gone", "gone/", "#gone", "https://example.com/gone"]
    (tmp_path / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in links))
    assert broken(tmp_path) == [f"index.html: {link}" for link in ("there/#gone", "gone/", "#gone")]
