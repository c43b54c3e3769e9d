"""The facts that every rule of a rollout asks for, and the draft that the rules write their decisions into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from tidegate.api.rollout import BlueGreenStrategy, CanaryStrategy, RolloutSpec
from tidegate.core.plan import Action, Event, Key
from tidegate.core.rollout.adoption import find_new
from tidegate.core.rollout.world import ReplicaSet, World


@dataclass(frozen=True)
class Release:
    """Which revision is which.

    new: the ReplicaSet of the present template; None before it has been created.
    stable: the ReplicaSet that users are known to be well served by; None on a first deployment.
    others: what is left of earlier revisions, newest first.
    hash: the identity of the present template. An adopted ReplicaSet keeps the hash that its label bears.
    """

    world: World
    spec: RolloutSpec
    hash: str
    new: ReplicaSet | None
    stable: ReplicaSet | None
    others: tuple[ReplicaSet, ...]

    @classmethod
    def assess(cls, world: World, spec: RolloutSpec) -> Release:
        """Find the new and the stable ReplicaSet among those that the Rollout owns."""
        alive = [rs for rs in world.replica_sets if not rs.deleting]
        new = find_new(world, spec.template, alive)
        stable_hash = world.status.get("stableRS") or ""
        stable = next((rs for rs in alive if stable_hash and rs.hash == stable_hash), None)
        others = sorted(
            (rs for rs in alive if rs is not new and rs is not stable), key=lambda rs: (-rs.revision, rs.name)
        )
        return cls(world, spec, new.hash if new else world.template_hash, new, stable, tuple(others))

    @property
    def replicas(self) -> int:
        """How many pods carry all of the traffic."""
        return self.spec.desired_replicas

    @property
    def stable_hash(self) -> str:
        """The identity of the stable revision; empty on a first deployment."""
        return self.world.status.get("stableRS") or ""

    @property
    def promoted(self) -> bool:
        """Whether the present template is the stable one: nothing is on its way."""
        return self.stable_hash == self.hash

    @property
    def first(self) -> bool:
        """Whether there is no earlier version to protect, so the strategy does not apply."""
        return not self.promoted and self.stable is None

    @cached_property
    def revision(self) -> int:
        """The revision number of the present template: kept while it is the greatest, else the next one."""
        greatest = max((rs.revision for rs in self.world.replica_sets if rs is not self.new), default=0)
        if self.new is not None and self.new.revision > greatest:
            return self.new.revision
        return greatest + 1

    @property
    def canary(self) -> CanaryStrategy:
        """The canary strategy; only asked for where it is the one in use."""
        assert self.spec.strategy.canary is not None
        return self.spec.strategy.canary

    @property
    def blue_green(self) -> BlueGreenStrategy:
        """The blue-green strategy; only asked for where it is the one in use."""
        assert self.spec.strategy.blue_green is not None
        return self.spec.strategy.blue_green

    @property
    def available(self) -> int:
        """Available pods of the new revision."""
        return self.new.available if self.new else 0

    @property
    def stable_available(self) -> int:
        """Available pods of the stable revision."""
        return self.stable.available if self.stable else 0


class Draft:
    """A plan in the making: what the rules have decided so far.

    `status` starts as a copy of the present one. Rules replace what lies under its keys, they never change it in
    place; `canary` and `blueGreen` are copies already.
    """

    __slots__ = ("actions", "events", "release", "status", "waiting", "wake", "why_aborted", "why_promoted", "world")

    def __init__(self, world: World, release: Release) -> None:
        self.world = world
        self.release = release
        self.status: dict[str, Any] = dict(world.status)
        for part in ("canary", "blueGreen"):
            self.status[part] = dict(self.status.get(part) or {})
        self.actions: list[Action] = []
        self.events: list[Event] = []
        self.wake: datetime | None = None
        self.why_aborted = ""
        self.why_promoted = ""
        self.waiting = False
        """Whether the update waits for a time, a person or an analysis: the progress deadline does not run then."""

    def do(self, action: Action, *, first: bool = False) -> None:
        """Add an action, after those that are there or before them."""
        self.actions.insert(0 if first else len(self.actions), action)

    def say(
        self, reason: str, message: str, type: Literal["Normal", "Warning"] = "Normal", step: int | None = None
    ) -> None:
        """Add an event that tells of a change in the status."""
        self.events.append(Event(reason, message, type, step))

    def wake_at(self, moment: datetime) -> None:
        """Look again at `moment` at the latest."""
        if self.wake is None or moment < self.wake:
            self.wake = moment

    def reached(self, moment: datetime) -> bool:
        """Whether `moment` has come; if not, look again then."""
        if self.world.now >= moment:
            return True
        self.wake_at(moment)
        return False

    @property
    def key(self) -> Key:
        """The Rollout's address."""
        return Key("Rollout", self.world.namespace, self.world.name)

    @property
    def canary(self) -> dict[str, Any]:
        """The draft of `status.canary`."""
        part: dict[str, Any] = self.status["canary"]
        return part

    @property
    def blue_green(self) -> dict[str, Any]:
        """The draft of `status.blueGreen`."""
        part: dict[str, Any] = self.status["blueGreen"]
        return part

    @property
    def before(self) -> Mapping[str, Any]:
        """The status as it stands in the cluster."""
        return self.world.status

    @property
    def paused(self) -> bool:
        """Whether somebody holds the Rollout by `spec.paused`."""
        return bool(self.release.spec.paused)

    @property
    def aborted(self) -> bool:
        """Whether this update has been given up."""
        return bool(self.status.get("abort"))
