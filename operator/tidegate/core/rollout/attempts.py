"""What an update makes for its steps, runs and Experiments: how each attempt is called, and which are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

from tidegate.api import names
from tidegate.core.rollout.release import Draft


class Attempt(Protocol):
    """A run or an Experiment of the Rollout's."""

    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def created(self) -> str: ...


A = TypeVar("A", bound=Attempt)


def base_name(draft: Draft, suffix: str) -> str:
    """What the first attempt of this update is called: `<rollout>-<hash>-<revision><suffix>`."""
    release = draft.release
    return f"{draft.world.name}-{release.hash}-{release.revision}{suffix}"


def belongs(name: str, base: str, joint: str) -> bool:
    """Whether a name is that of an attempt, the first or a later one, which has a number behind the joint."""
    rest = name.removeprefix(base)
    return rest != name and (not rest or (rest[0] == joint and rest[1:].isdigit()))


def free_name(base: str, joint: str, taken: Collection[str]) -> str:
    """The name of the next attempt."""
    name, number = base, 0
    while name in taken:
        number += 1
        name = f"{base}{joint}{number}"
    return name


def outdated(draft: Draft, ended: Iterable[A]) -> list[A]:
    """Those that are to be forgotten: of a revision that is gone, or beyond the history limits; oldest first to go."""
    limits = draft.release.spec.analysis
    alive = {rs.hash for rs in draft.world.replica_sets if not rs.deleting}
    latest = sorted(ended, key=lambda each: (each.created, each.name), reverse=True)
    past = [each for each in latest if each.hash in alive]
    good = [each for each in past if each.phase == names.RUN_SUCCESSFUL]
    bad = [each for each in past if each.phase != names.RUN_SUCCESSFUL]
    orphans = [each for each in latest if each.hash not in alive]
    return [
        *orphans,
        *good[limits.successful_run_history_limit :],
        *bad[limits.unsuccessful_run_history_limit :],
    ]
