"""What a decision about an Experiment may look at, and the draft that its rules write into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidegate.api import names
from tidegate.api.experiment import ExperimentSpec
from tidegate.api.problems import Problem
from tidegate.core.analysis.nesting import Templates
from tidegate.core.plan import Action, Key
from tidegate.core.rollout.world import ENDED, ReplicaSet, Run, Service

Entry = dict[str, Any]
"""One entry of `status.templateStatuses` or `status.analysisRuns`."""


@dataclass(frozen=True, slots=True)
class ExperimentWorld:
    """Everything that one decision about an Experiment reads.

    spec: None when it can't be read, and `problems` say why.
    replica_sets, services: those that it owns. runs: those that it owns, and any that bears a name in its status.
    templates: every analysis template that the spec names, or one of these contains; None where there is none.
    taken: names that it wanted and that are somebody else's. refused: what the server has said of objects that it
        will not have; both are known of this process' own attempts.
    foreign: the Services that have a wanted name and are not its own: to which other Experiment each belongs, if any.
    held: whether the Rollout that owns it may still lead users to its pods.
    """

    now: datetime
    experiment: Mapping[str, Any]
    spec: ExperimentSpec | None
    problems: tuple[Problem, ...] = ()
    replica_sets: tuple[ReplicaSet, ...] = ()
    services: tuple[Service, ...] = ()
    runs: tuple[Run, ...] = ()
    templates: Templates = field(default_factory=dict)
    taken: frozenset[Key] = frozenset()
    refused: Mapping[Key, str] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    held: bool = False

    @property
    def name(self) -> str:
        """The Experiment's name."""
        name: str = self.experiment["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        """The Experiment's namespace."""
        namespace: str = self.experiment["metadata"]["namespace"]
        return namespace

    @property
    def status(self) -> Mapping[str, Any]:
        """The status as it was last written."""
        return self.experiment.get("status") or {}

    @property
    def ended(self) -> bool:
        """Whether its verdict is in."""
        return self.status.get("phase") in ENDED

    def set_of(self, template: str) -> ReplicaSet | None:
        """The ReplicaSet of a template."""
        found = (rs for rs in self.replica_sets if rs.annotations.get(names.EXPERIMENT_TEMPLATE) == template)
        return next((rs for rs in found if not rs.deleting), None)

    def service(self, name: str) -> Service | None:
        """The Service of this name, if the Experiment owns it."""
        return next((service for service in self.services if service.name == name), None)


class Draft:
    """A plan in the making. Entries of the status are copies, to be changed at will."""

    __slots__ = ("actions", "before", "runs", "status", "templates", "wake", "world")

    def __init__(self, world: ExperimentWorld, before: Mapping[str, Any]) -> None:
        """before: the status to go on from."""
        self.world = world
        self.before = before
        self.status: Entry = dict(before)
        self.templates = _by_name(before.get("templateStatuses"))
        self.runs = _by_name(before.get("analysisRuns"))
        self.actions: list[Action] = []
        self.wake: datetime | None = None

    @property
    def spec(self) -> ExperimentSpec:
        """The spec; only asked for where there is one."""
        assert self.world.spec is not None
        return self.world.spec

    def do(self, action: Action) -> None:
        """Add an action, after those that are there."""
        self.actions.append(action)

    def reached(self, moment: datetime) -> bool:
        """Whether `moment` has come; if not, look again then."""
        if self.world.now >= moment:
            return True
        if self.wake is None or moment < self.wake:
            self.wake = moment
        return False


def _by_name(entries: Any) -> dict[str, Entry]:
    return {entry["name"]: dict(entry) for entry in entries or () if "name" in entry}
