"""Fixtures of the real cluster. Tests that don't ask for one of them run anywhere."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from lab import manifests, netns
from lab.cluster import Lab
from lab.operator import ACCOUNT
from lab.paths import REPOSITORY
from tests.requests_made import refused

ENDPOINT_DELAY = "500ms"
"""As in a cluster whose controllers are busy: a pod is ready for so long before any proxy can hear of it."""

STORIES = "scenarios"
"""The modules whose operator plays stories under the chart's roles, and what judges by all of them: one lab's."""
LAB = "lab"
"""All other modules that need a lab."""

_WORKER, _FIRST = "PYTEST_XDIST_WORKER", "gw0"
_numbers = itertools.count(1)

# The same examples in every run, so that a red run is red again. To look for new ones: make test
# ARGS='--hypothesis-profile=search -m "not lab"'.
# And no limit of time for one of them: how long it takes is the machine's affair.
_UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("search", derandomize=False, **_UNTIMED)
settings.register_profile("steady", derandomize=True, **_UNTIMED)
settings.load_profile("steady")

# pytest-asyncio asks for the present loop to restore it later. Without one being refused explicitly, Python makes one
# then, which nobody closes, and the warning about it fails some other test.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """One lab for the whole session, with a Gateway for all hosts (`lab.manifests.GATEWAY`).

    At its end the operator has to have had the right to all that it asked of the API server.
    """
    if not netns.inside():
        pytest.fail("This test needs the lab's network: run it through `make test ARGS='…'`.", pytrace=False)
    chosen = os.environ.get("TIDEGATE_LAB_DIR")
    folder = Path(chosen, os.environ.get(_WORKER, "")) if chosen else None
    with Lab.start(folder, endpoint_delay=ENDPOINT_DELAY, audited=[ACCOUNT]) as running:
        yield running
        assert refused(running) == []


@pytest.fixture
def namespace(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, named after it. Its deletion is not waited for."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = f"{words}-{next(_numbers)}"
    lab.client.create(manifests.namespace(name))
    yield name
    lab.client.delete("Namespace", name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In virtual time nothing comes from outside, so the next timer may ring at once.

    looptime would turn the loop 42 times before each of them, which is most of what such a test takes.
    """
    first = (STORIES, LAB)
    items.sort(key=lambda item: first.index(scope) if (scope := _scope(item.nodeid)) in first else len(first))
    for item in items:
        if item.get_closest_marker("looptime"):
            item.add_marker(pytest.mark.looptime(noop_cycles=0), append=False)


def pytest_configure(config: pytest.Config) -> None:
    """Each worker has a network, and so a lab, of its own."""
    if netns.inside() and os.environ.get(_WORKER, _FIRST) != _FIRST:
        netns.part()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """The first worker begins with the stories, the second with what else needs a lab; then come all other modules.

    Both wait for most of their time, so two labs beside each other are hardly slower than one.
    """
    config.option.loadscopereorder = False
    return _LabFirst(config, log)


class _LabFirst(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def _scope(nodeid: str) -> str:
    """What must be run in one process: a module, or all those that share a lab."""
    module = nodeid.partition("::")[0]
    if not _needs_lab(module):
        return module
    return STORIES if module.startswith(("tests/scenarios/", "tests/test_zz_")) else LAB


@cache
def _needs_lab(module: str) -> bool:
    return "mark.lab" in (REPOSITORY / module).read_text()
