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

ENDPOINT_DELAY = "500ms"
"""As in a cluster whose controllers are busy: a pod is ready for so long before any proxy can hear of it."""

LAB = "lab"

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
    """One lab for the whole session, with a Gateway for all hosts (`lab.manifests.GATEWAY`)."""
    if not netns.inside():
        pytest.fail("This test needs the lab's network: run it through `make test ARGS='…'`.", pytrace=False)
    chosen = os.environ.get("TIDEGATE_LAB_DIR")
    with Lab.start(Path(chosen) if chosen else None, endpoint_delay=ENDPOINT_DELAY, audited=[ACCOUNT]) as running:
        yield running


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
    items.sort(key=lambda item: _scope(item.nodeid) != LAB)
    for item in items:
        if item.get_closest_marker("looptime"):
            item.add_marker(pytest.mark.looptime(noop_cycles=0), append=False)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With several workers the first has the lab, for there is one, and the others have the modules that need none."""
    config.option.loadscopereorder = False
    return _LabFirst(config, log)


class _LabFirst(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def _scope(nodeid: str) -> str:
    """What must be run in one process: a module, or all those with a test that needs the lab."""
    module = nodeid.partition("::")[0]
    return LAB if _needs_lab(module) else module


@cache
def _needs_lab(module: str) -> bool:
    return "mark.lab" in (REPOSITORY / module).read_text()
