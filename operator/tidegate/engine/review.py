"""What is said of an object before it is stored: the findings of its later status, while somebody still looks.

Refused is what is wrong with the object itself, and what would set two Rollouts against each other. What it relies on
and is not there yet is only a warning, for objects may be applied in any order. What was wrong with the stored object
already is a warning too: somebody who mends one thing need not mend everything, and the status tells of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tidegate.api import names
from tidegate.api.analysis import Metric
from tidegate.api.common import is_templated
from tidegate.api.idle import idle_fields, idle_services
from tidegate.api.parsing import parse_experiment, parse_template
from tidegate.api.problems import Problem
from tidegate.cluster.store import Store
from tidegate.core.analysis.conditions import ConditionError, compile_condition
from tidegate.core.analysis.nesting import TemplateName, contained, named
from tidegate.core.plan import Key
from tidegate.core.rollout.decide import unfit
from tidegate.engine.claims import Claims
from tidegate.engine.gather import Gatherer
from tidegate.engine.signatures import Signatures
from tidegate.engine.workloads import kept, reference

_INDEX: Final = re.compile(r"\[\d+\]")
_REF: Final = "spec.workloadRef.name"

KINDS: Final = (names.ROLLOUT, names.EXPERIMENT, *names.TEMPLATE_KINDS)
"""The kinds that are reviewed."""


@dataclass(frozen=True, slots=True)
class Review:
    """refusals: why the object is not let in. warnings: what to know of it otherwise."""

    refusals: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Reviewer:
    """Reviews objects by what the store knows; writes nothing and remembers nothing.

    synced: whether the store has seen the whole cluster. Until then an object is judged by itself alone.
    """

    def __init__(
        self,
        store: Store,
        signatures: Signatures,
        claims: Claims,
        now: Callable[[], datetime],
        synced: Callable[[], bool],
    ) -> None:
        self._store = store
        self._signatures = signatures
        self._claims = claims
        self._now = now
        self._synced = synced

    def review(self, raw: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Review:
        """Judge an object of one of KINDS, with its name and namespace. before: as it is stored, if it is."""
        if "deletionTimestamp" in raw["metadata"] or (before and before.get("spec") == raw.get("spec")):
            return Review()
        found = self._judge(raw)
        known = {_gist(problem) for problem in self._judge(before).refusals} if before and found.refusals else set()
        return Review(
            refusals=tuple(problem for problem in found.refusals if _gist(problem) not in known),
            warnings=(*(problem for problem in found.refusals if _gist(problem) in known), *found.warnings),
        )

    def _judge(self, raw: Mapping[str, Any]) -> Review:
        if raw["kind"] == names.ROLLOUT:
            return self._rollout(raw)
        if raw["kind"] == names.EXPERIMENT:
            experiment, problems = parse_experiment(raw)
            if experiment is None:
                return Review(problems)
            missing = self._missing(named(experiment.analyses), "spec.analyses", raw)
            return Review(problems, (*missing, *idle_services(experiment)))
        template, problems = parse_template(raw)
        problems = problems or tuple(_conditions(template.metrics) if template else ())
        return Review(problems, self._missing(contained(raw), "spec.templates", raw))

    def _rollout(self, raw: Mapping[str, Any]) -> Review:
        metadata = raw["metadata"]
        key = Key(names.ROLLOUT, metadata["namespace"], metadata["name"])
        raw = {**raw, "metadata": {"uid": "not stored yet", **metadata}}
        view = _Proposed(self._store, key, raw)
        world = Gatherer(self._now, self._signatures, self._claims).rollout(view, key)
        assert world is not None
        own: tuple[Problem, ...] = () if world.spec else world.problems
        warnings = [problem for problem in own if problem.path == _REF and view.workload]
        refusals = [problem for problem in own if problem not in warnings]
        if view.stand_in:
            # What is read there is nobody's: only the rest of the spec can be judged.
            refusals = [p for p in refusals if not p.path.startswith(("spec.template", "spec.selector"))]
        if not self._synced():
            return Review(tuple(refusals))
        if view.stand_in and self._store.synced(view.stand_in.kind):
            kind = raw["spec"]["workloadRef"]["kind"]
            told = f"{kind} {view.stand_in.name} not found in namespace {view.stand_in.namespace}"
            warnings.append(Problem(_REF, told))
        if world.spec:
            warnings += (*unfit(world), *idle_fields(world.spec))
        return Review((*refusals, *self._claims.conflicts(key, raw)), tuple(warnings))

    def _missing(self, wanted: Sequence[TemplateName], at: str, raw: Mapping[str, Any]) -> tuple[Problem, ...]:
        """The templates that are named in the list `at` and that there are not."""
        found = []
        for index, name in enumerate(wanted if self._synced() else ()):
            if self._store.get(name.key(raw["metadata"].get("namespace", ""))) is None:
                found.append(Problem(f"{at}[{index}].templateName", f"{name} not found"))
        return tuple(found)


class _Proposed:
    """The store with one Rollout as it would be; nobody is woken by what is read here.

    stand_in: the workload that the Rollout names and that is not known, in whose place something plausible is read.
    workload: whether it is known.
    """

    def __init__(self, store: Store, key: Key, raw: Mapping[str, Any]) -> None:
        self._store = store
        self._key = key
        self._raw = raw
        self._workload = reference(raw)
        self.workload = self._workload is not None and store.get(self._workload) is not None
        self.stand_in = None if self.workload else self._workload

    def get(self, key: Key) -> Any:
        if key == self._key:
            return self._raw
        found = self._store.get(key)
        return _stand_in(self._raw, key) if found is None and key == self.stand_in else found

    def owned(self, kind: str, owner_uid: str, namespace: str) -> list[dict[str, Any]]:
        return self._store.owned(kind, owner_uid, namespace)


def _stand_in(rollout: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """A workload as the store would keep it, with a template that the Rollout's selector fits."""
    selector = rollout["spec"].get("selector")
    labels = (selector.get("matchLabels") if isinstance(selector, Mapping) else None) or {"app": key.name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
    return kept(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": "", "resourceVersion": "0"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
    )


def _conditions(metrics: Sequence[Metric]) -> Iterator[Problem]:
    """Conditions that hold for no result at all; those that wait for an argument can't be judged yet."""
    for index, metric in enumerate(metrics):
        fields = (("successCondition", metric.success_condition), ("failureCondition", metric.failure_condition))
        for field, text in fields:
            if not text.strip() or is_templated(text):
                continue
            try:
                compile_condition(text)
            except ConditionError as error:
                yield Problem(f"spec.metrics[{index}].{field}", str(error))


def _gist(problem: Problem) -> tuple[str, str]:
    """A problem wherever in its list it stands: an entry before it may have been added."""
    return _INDEX.sub("[]", problem.path), problem.message
