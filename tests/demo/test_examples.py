"""What stands in examples/ is read without a complaint. `tests/docs/test_commands.py` carries it out on the lab."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from lab.demo.story import EXAMPLES, example
from tidegate.api.parsing import parse_rollout, parse_template

FOLDERS = sorted(path.parent.name for path in EXAMPLES.glob("*/rollout.yaml"))
READERS = {"Rollout": parse_rollout, "AnalysisTemplate": parse_template}


def objects(folder: str, kind: str) -> list[dict[str, Any]]:
    return [obj for obj in example(folder, "default") if obj["kind"] == kind]


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
    assert (EXAMPLES / folder / "README.md").exists()
    assert services <= {obj["metadata"]["name"] for obj in objects(folder, "Service")}
