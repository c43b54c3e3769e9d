"""What stands in examples/ works as it is: read without a complaint, taken by the API server, carried out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.cluster import Lab
from lab.demo.story import EXAMPLES, example
from lab.operator import Operator, install, operator
from tidegate.api.parsing import parse_rollout, parse_template

FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
READERS = {"Rollout": parse_rollout, "AnalysisTemplate": parse_template}


def objects(folder: str, kind: str) -> list[dict[str, Any]]:
    return [obj for obj in example(folder, "default") if obj["kind"] == kind]


def commands(folder: str) -> list[list[str]]:
    """Every kubectl command of a folder's README, as a shell would split it."""
    blocks = re.findall(r"```\n(.*?)```", (EXAMPLES / folder / "README.md").read_text(), re.S)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [words for words in map(shlex.split, _statements(joined)) if words[:1] == ["kubectl"]]


def _statements(text: str) -> Iterator[str]:
    """Lines, put together where a quoted text goes on."""
    pending = ""
    for line in text.splitlines():
        pending = f"{pending}\n{line}" if pending else line
        if pending.count("'") % 2 == 0:
            yield pending
            pending = ""


def test_given_the_readme_then_it_names_every_folder() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    assert sorted(re.findall(r"^\| \[([a-z-]+)\]", readme, re.M)) == FOLDERS


@pytest.mark.parametrize("folder", FOLDERS)
def test_given_an_example_then_it_is_read_without_a_complaint(folder: str) -> None:
    read = [(obj["kind"], READERS[obj["kind"]](obj)) for obj in example(folder, "default") if obj["kind"] in READERS]
    assert [kind for kind, _ in read].count("Rollout") == 1
    for _, (spec, problems) in read:
        assert spec is not None
        assert problems == ()


@pytest.mark.parametrize("folder", FOLDERS)
def test_given_an_example_then_what_its_rollout_names_is_there(folder: str) -> None:
    (rollout,) = objects(folder, "Rollout")
    text = yaml.safe_dump(rollout["spec"])
    templates = set(re.findall(r"templateName: (\S+)", text))
    services = set(re.findall(r"(?:stable|canary|active|preview)Service: (\S+)", text))
    assert templates == {obj["metadata"]["name"] for obj in objects(folder, "AnalysisTemplate")}
    assert services <= {obj["metadata"]["name"] for obj in objects(folder, "Service")}


@pytest.fixture(scope="module")
def tidegate(lab: Lab) -> Iterator[Operator]:
    with operator(lab, install(lab)) as running:
        yield running
