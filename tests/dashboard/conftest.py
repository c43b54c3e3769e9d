"""A Rollout in the midst of an update, and people with different rights."""

from __future__ import annotations

import pytest

from tests.cli.release import Release
from tests.dashboard.house import People
from tests.fakes.clocks import ManualClock
from tests.fakes.cluster import FakeCluster


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(ManualClock())


@pytest.fixture
def release(cluster: FakeCluster) -> Release:
    """A canary in the middle of its update, waiting for a person at its second step."""
    return Release(cluster, name="app", namespace="shop")


@pytest.fixture
def people() -> People:
    return People(
        tokens={"token-of-vera": "vera", "token-of-edith": "edith", "token-of-noone": "noone"},
        roles={"vera": {"shop": "view"}, "edith": {"": "edit"}},
    )
