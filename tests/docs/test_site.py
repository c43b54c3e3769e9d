"""The documentation as a whole: every page is found, every link leads somewhere, every block says what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.paths import REPOSITORY
from tests.docs.pages import Block, anchors, blocks, links, pages, read
from tidegate.api.parsing import parse_experiment, parse_rollout, parse_template
from tools import field_page

LANGUAGES = {"sh", "console", "yaml", "text", "python", "promql", "json"}
READERS = {
    "Rollout": parse_rollout,
    "AnalysisTemplate": parse_template,
    "ClusterAnalysisTemplate": parse_template,
    "Experiment": parse_experiment,
}


def test_the_site_s_navigation_names_every_page_once() -> None:
    def files(part: Any) -> Iterator[str]:
        for entry in part:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else files(value)

    named = list(files(yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"]))
    first = {"README.md": "index.md"}
    assert sorted(named) == sorted(first.get(page, page.removeprefix("docs/")) for page in pages())


@pytest.mark.parametrize("page", pages())
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    for target in links(page):
        if target.startswith(("https://", "http://")):
            continue
        place, _, anchor = target.partition("#")
        there = (REPOSITORY / page).parent.joinpath(place).resolve() if place else REPOSITORY / page
        assert there.exists(), f"{page}: nothing at {target}"
        assert there.is_relative_to(REPOSITORY), f"{page}: {target} leads out of the repository"
        if anchor:
            assert anchor in anchors(str(there.relative_to(REPOSITORY))), f"{page}: no heading for {target}"


@pytest.mark.parametrize("page", pages())
def test_a_block_says_what_it_is(page: str) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: ```{block.language} is none of {sorted(LANGUAGES)}"
        if block.language == "console":
            assert block.text.startswith("$ "), f"{block}: a session begins with a command"
        if block.language == "text":
            assert not block.text.startswith(("$ ", "kubectl ", "helm ", "tidegate ")), f"{block}: a command is ```sh"


def _documents() -> Iterator[tuple[Block, dict[str, Any]]]:
    for page in pages():
        for block in blocks(page):
            if block.language == "yaml":
                yield from ((block, document) for document in yaml.safe_load_all(block.text) if document)


def test_what_is_shown_as_yaml_is_read_without_a_complaint() -> None:
    whole = [(block, obj) for block, obj in _documents() if isinstance(obj, dict) and obj.get("kind") in READERS]
    assert len(whole) > 3
    for block, obj in whole:
        if "workloadRef" in obj["spec"]:
            continue  # read together with the workload, which `tests.docs.settings` has
        _, problems = READERS[obj["kind"]](obj)
        assert problems == (), str(block)


def test_the_page_of_all_fields_is_that_of_the_models() -> None:
    written = Path(REPOSITORY, "docs", "fields.md").read_text()
    assert written == field_page.render(), "`make crds` writes it"


def test_each_way_to_release_names_an_example_and_tests_that_are_there() -> None:
    rows = [line for line in read("docs/practices.md").splitlines() if line.startswith("| ") and "tests |" not in line]
    assert len(rows) > 10
    for row in rows:
        _, way, example, _, tests, _ = (cell.strip() for cell in row.split("|"))
        assert "](" in example, f"nothing to apply for {way!r}"
        named = re.findall(r"`(tests/[a-z_/.]+)(?:::(test_\w+))?`", tests)
        assert named, f"no test of {way!r}"
        for path, test in named:
            assert f"def {test}(" in Path(REPOSITORY, path).read_text() if test else Path(REPOSITORY, path).exists(), (
                test
            )


def test_each_example_is_a_way_to_release() -> None:
    named = {target.partition("examples/")[2] for target in links("docs/practices.md")}
    assert {f"{path.name}/README.md" for path in Path(REPOSITORY, "examples").iterdir() if path.is_dir()} <= named
