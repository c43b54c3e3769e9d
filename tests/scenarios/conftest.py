"""The stage for the stories: one operator for each module, under the chart's roles, and a namespace for each story.

A story waits for most of its time, so those of a module are played at the same time, each in its namespace: a test
that asks for `story` runs in a thread that starts with the first of them, and pytest waits for its end when its turn
comes. What disturbs the whole cluster asks for `alone` and is played by itself.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab import manifests as m
from lab.cluster import Lab
from lab.operator import NAMESPACE, Operator, install, operator
from tests.scenarios.chronicle import Chronicle
from tests.scenarios.story import Story

_numbers = itertools.count(1)
_AT_ONCE = 8


@pytest.fixture(scope="session")
def installed(lab: Lab) -> Iterator[Path]:
    """The chart, and the kubeconfig of its service account."""
    yield install(lab)
    lab.helm("uninstall", "tidegate", "--namespace", NAMESPACE)


@pytest.fixture(scope="module")
def tidegate(lab: Lab, installed: Path) -> Iterator[Operator]:
    """A running operator, the module's own."""
    with operator(lab, installed) as running:
        yield running


@pytest.fixture(scope="module")
def chronicle(lab: Lab, tidegate: Operator) -> Iterator[Chronicle]:
    with Chronicle(lab) as running:
        yield running


@pytest.fixture(scope="module")
def open_story(lab: Lab, chronicle: Chronicle, tidegate: Operator) -> Iterator[Callable[[str], Story]]:
    """Makes a namespace for a test of this name."""
    opened = []

    def make(name: str) -> Story:
        words = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("test_")).strip("-")[:30].strip("-")
        namespace = f"{words}-{next(_numbers)}"
        lab.client.create(m.namespace(namespace))
        opened.append(namespace)
        return Story(lab, chronicle, tidegate, namespace)

    yield make
    for namespace in opened:
        lab.client.delete("Namespace", namespace)


@pytest.fixture(scope="module")
def playing(request: pytest.FixtureRequest, open_story: Callable[[str], Story]) -> Iterator[dict[str, Future[None]]]:
    """The selected stories of this module, begun in their order; those that don't fit begin as others end."""
    chosen = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and "story" in item.fixturenames
    ]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="story") as pool:
        yield {item.nodeid: pool.submit(_play, item, open_story) for item in chosen}
        pool.shutdown(cancel_futures=True)


def _play(item: pytest.Function, open_story: Callable[[str], Story]) -> None:
    story = open_story(item.name)
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    _tell(story, lambda: item.obj(story, **parameters))


def _tell(story: Story, play: Callable[[], object]) -> None:
    try:
        play()
        story.check_always()
    except Exception as error:
        error.add_note(story.describe())
        raise


@pytest.fixture
def story(request: pytest.FixtureRequest, playing: dict[str, Future[None]]) -> Future[None]:
    """Stands for this test's story, which `pytest_pyfunc_call` waits for."""
    return playing[request.node.nodeid]


@pytest.fixture
def alone(request: pytest.FixtureRequest, open_story: Callable[[str], Story]) -> Story:
    """A story that is played while no other is."""
    return open_story(request.node.name)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    given: dict[str, Any] = pyfuncitem.funcargs
    if "story" in given:
        given["story"].result(timeout=240)
        return True
    if "alone" in given:
        wanted = {name: given[name] for name in pyfuncitem._fixtureinfo.argnames}
        _tell(given["alone"], lambda: pyfuncitem.obj(**wanted))
        return True
    return None
