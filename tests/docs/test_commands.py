"""Every command block of the documentation is run on the lab: each page by a reader of its own, all at once."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import manifests as m
from lab.cluster import ApiError, Lab, wait_for
from lab.operator import NAMESPACE
from lab.paths import REPOSITORY
from tests.docs.datadog import API_KEY, APP_KEY, datadog
from tests.docs.pages import Block, blocks, pages, read
from tests.docs.recording import remembering
from tests.docs.settings import BEFORE, FIRST, LAST, SELF, SHORTER, START
from tests.docs.shell import DOCKER, RUN, Shell, clean, to_run, workshop
from tests.image.docker import pushed, registry
from tidegate import __version__

PAGES = [page for page in pages() if to_run(page)]
_AT_ONCE = 8


def _namespace(page: str) -> str:
    return "page-" + re.sub(r"[^a-z0-9]+", "-", page.lower().removesuffix(".md")).strip("-")


def _installing() -> tuple[list[Block], list[Block]]:
    """The blocks of the first page: until the operator runs, and the rest."""
    parts = to_run(START)
    end = next(i for i, block in enumerate(parts) if "rollout status deployment/tidegate" in block.text)
    return parts[: end + 1], parts[end + 1 :]


def test_given_the_list_then_it_names_blocks_that_are_there() -> None:
    there = {(page, block.first) for page in pages() for block in blocks(page) if block.language in RUN}
    assert {*BEFORE} <= there
    assert SELF in read("README.md").splitlines()


@pytest.fixture(scope="module")
def folder(lab: Lab) -> Iterator[Path]:
    yield workshop(lab, SHORTER)
    shutil.rmtree(lab.workdir / DOCKER)  # half a gigabyte, that only its maker, root in here, can remove


@pytest.fixture(scope="module")
def variables(lab: Lab) -> Iterator[Mapping[str, str]]:
    """What a reader has in the environment, and the servers that are told of there or known by their address."""
    with (
        datadog(lab) as account,
        remembering(lab.program("prometheus"), lab.workdir / "remembering"),
        registry(lab.workdir / "registry.log"),
    ):
        yield account


def _shell(lab: Lab, folder: Path, variables: Mapping[str, str], page: str) -> Shell:
    namespace = _namespace(page)
    try:
        lab.client.create(m.namespace(namespace))
    except ApiError as error:
        if error.status != 409:
            raise
    return Shell(lab, folder, clean(folder) if page == START else folder / "programs", namespace, variables)


def _play(lab: Lab, folder: Path, variables: Mapping[str, str], page: str, parts: list[Block]) -> Shell:
    shell = _shell(lab, folder, variables, page)
    shell.play(parts, {first: text for (of, first), text in BEFORE.items() if of == page})
    return shell


def _leader_stays(lab: Lab) -> bool:
    """Whether the replica that works is none of those that a new version has replaced: they still work for a moment."""
    lease = lab.client.get("Lease", "tidegate-controller-lock", NAMESPACE, api_version="coordination.k8s.io/v1")
    pods = [pod["metadata"] for pod in lab.client.list("Pod", NAMESPACE)]
    return lease["spec"].get("holderIdentity") in {pod["name"] for pod in pods if "deletionTimestamp" not in pod}


@pytest.fixture(scope="module")
def playing(
    request: pytest.FixtureRequest, lab: Lab, folder: Path, variables: Mapping[str, str]
) -> Iterator[dict[str, Future[Shell]]]:
    """The chosen pages, begun when the operator is installed and knows Prometheus; those of LAST when all are over."""
    if "tidegate" in lab.helm("list", "--short", "--namespace", NAMESPACE):
        lab.helm("uninstall", "tidegate", "--namespace", NAMESPACE, "--wait")  # of another module
    installing, rest = _installing()
    _play(lab, folder, variables, START, installing)
    first: Future[Shell] = Future()
    first.set_result(_play(lab, folder, variables, FIRST, to_run(FIRST)))
    wait_for(lambda: _leader_stays(lab), "the operator that knows Prometheus being the one that works")
    chosen = [
        item.callspec.params["page"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="page") as pool:
        begun = {
            page: pool.submit(_play, lab, folder, variables, page, rest if page == START else to_run(page))
            for page in chosen
            if page not in (FIRST, *LAST)
        }

        def after_all(page: str) -> Shell:
            for other in begun.values():
                other.exception()
            return _play(lab, folder, variables, page, to_run(page))

        with ThreadPoolExecutor(1) as last:
            ends = {page: last.submit(after_all, page) for page in LAST if page in chosen}
            yield {FIRST: first} | begun | ends
    if "tidegate" in lab.helm("list", "--short", "--namespace", NAMESPACE):
        lab.helm("uninstall", "tidegate", "--namespace", NAMESPACE)
    for page in {START, FIRST, *chosen}:
        lab.client.delete("Namespace", _namespace(page))


@pytest.mark.lab
@pytest.mark.parametrize("page", PAGES)
def test_given_a_page_then_its_commands_end_as_it_says(playing: dict[str, Future[Shell]], page: str) -> None:
    shell = playing[page].result(timeout=900)
    for block, seconds in shell.took:
        print(f"{seconds:6.1f} s {block}")
    assert shell.took


@pytest.mark.lab
def test_given_the_keys_of_an_account_then_they_are_shown_nowhere(
    lab: Lab, playing: dict[str, Future[Shell]], page: str = "examples/datadog/README.md"
) -> None:
    if page not in playing:
        pytest.skip(f"{page} was not chosen")
    shell = playing[page].result(timeout=900)
    shown = [lab.kubectl("-n", shell.namespace, "get", "rollouts,analysisruns,events,replicasets,pods", "-o", "yaml")]
    shown += [path.read_text() for path in (lab.workdir / "pods").glob(f"{NAMESPACE}_*.log")]
    assert "error-rate" in shown[0]
    assert len(shown) > 1
    for key in (API_KEY, APP_KEY):
        assert not any(key in text for text in shown)


@pytest.mark.lab
def test_given_the_image_that_the_first_page_builds_then_it_is_whole_and_in_the_registry(
    lab: Lab, playing: dict[str, Future[Shell]], folder: Path, variables: Mapping[str, str]
) -> None:
    """It runs the command, as a user that is a number other than 0; every module is there, and nothing that builds."""
    manifest, config = pushed("tidegate", "0.1.0")
    assert manifest["layers"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", config["config"]["User"])
    assert (config["config"]["Entrypoint"], config["config"]["Cmd"]) == (["tidegate"], ["run"])
    source = REPOSITORY / "operator"
    modules = [
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in (source / "tidegate").rglob("*.py")
        if path.name != "__main__.py"
    ]
    look = f"import importlib, importlib.util as util\nfor name in {modules}: importlib.import_module(name)"
    look += "\nprint(util.find_spec('hatchling'), importlib.import_module('tidegate').__file__)"
    shell, image = _shell(lab, folder, variables, START), "registry.example.com/tidegate:0.1.0"
    assert shell.run(f"docker run --user 0 {image} version", "the image").strip() == __version__
    told = shell.run(f"docker run --user 0 --entrypoint python {image} -c {shlex.quote(look)}", "the image")
    assert re.fullmatch(r"None /opt/tidegate/lib/\S+/tidegate/__init__\.py\n", told)
