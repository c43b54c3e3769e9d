"""What stands in examples/ works as it is: read without a complaint, taken by the API server, carried out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import Lab, wait_for
from lab.demo.story import EXAMPLES, example
from lab.operator import Operator, install, operator
from lab.traffic import Traffic
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


@pytest.mark.lab
def test_given_the_examples_then_their_readmes_commands_do_what_they_say(
    lab: Lab, tidegate: Operator, namespace: str
) -> None:
    """All folders in one namespace; each gets its first release by the first patch of its README.

    The release of `web` takes a minute and is the demo's, so here the bad one overtakes it on its way.
    """

    def run(command: list[str]) -> None:
        lab.kubectl("-n", namespace, *command[1:])

    def status(name: str) -> dict[str, Any]:
        found = lab.client.get("Rollout", name, namespace, api_version="argoproj.io/v1alpha1")
        return dict(found["status"])

    def served_by(name: str, version: str) -> bool:
        now = status(name)
        found = lab.client.list("ReplicaSet", namespace, api_version="apps/v1", selector=f"app={name}")
        images = {rs["spec"]["template"]["spec"]["containers"][0]["image"] for rs in found if rs["spec"]["replicas"]}
        return (
            now["phase"] == "Healthy"
            and now["stableRS"] == now["currentPodHash"]
            and (f"lab.local/app:{version}" in images)
        )

    patches, waits = {}, []
    for folder in FOLDERS:
        apply, wait, *rest = commands(folder)
        assert apply == ["kubectl", "apply", "-f", f"examples/{folder}"]
        run([*apply[:-1], str(Path(EXAMPLES / folder))])
        waits.append(wait)
        (rollout,) = objects(folder, "Rollout")
        patches[rollout["metadata"]["name"]] = [command for command in rest if "patch" in command]
    for wait in waits:
        run(wait)
    hosts = [obj["spec"]["hosts"][0] for folder in FOLDERS for obj in objects(folder, "VirtualService")]
    assert sorted(patches) == ["cart", "desk", "pay", "shop", "web", "worker"]
    with ExitStack() as users:
        for host in hosts:
            users.enter_context(Traffic(host, 60))
        for release, *_ in patches.values():
            run(release)
        wait_for(lambda: status("shop").get("currentStepIndex") == 3, "the pause without end", 60)
        run(patches["shop"][1])
        for name in ("shop", "worker", "pay", "cart"):
            wait_for(lambda name=name: served_by(name, "v2"), f"v2 of {name}", 120)
        run(patches["web"][1])
        run(patches["pay"][1])
        run(patches["cart"][1])
        for name in ("web", "pay", "cart"):
            wait_for(lambda name=name: status(name)["phase"] == "Degraded", f"the undoing of {name}", 60)
            why = "has ended as Failed: Analysis compare" if name == "cart" else "analysis phase error/failed"
            assert why in status(name)["message"]
