"""What a metric asks to be compared: its arms, its question for a window, and the rules that all such metrics share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from tidegate.api import compare as api
from tidegate.api.analysis import Metric
from tidegate.api.common import number_of
from tidegate.api.compare import Compare, Judgement
from tidegate.api.compare_checks import ARM_FIELDS, SELECTORS
from tidegate.api.problems import Problem
from tidegate.core.analysis.arguments import Arguments, fill
from tidegate.core.analysis.compare.answers import CANARY, MOST_SAMPLES, PRESENCE, STABLE, Kind
from tidegate.core.analysis.compare.windows import Window, labelled, last_values
from tidegate.core.judge.score import ScoreParameters
from tidegate.core.times import parse_duration

DELAY: Final = timedelta(seconds=2)
FALSE_ALARM: Final = 0.01
HALF: Final = 0.5
SERIES: Final = "series"
"""In the question to Prometheus: that the answer's labels are wanted too."""
KNOWN: Final = "known"
"""The part that says how many series of stable there were when the window began."""

_ARM: Final = re.compile(r"\{\{\s*arm\.([^}]*?)\s*\}\}")

ArmNames = Mapping[str, Mapping[str, str]]
"""By what each arm is known, by its name: {"canary": {"podTemplateHash": "6f…"}, …}."""


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """How the metrics make one score. groups: by metric; those in none are a group without a name."""

    parameters: ScoreParameters
    groups: Mapping[str, str]
    critical: frozenset[str]

    @classmethod
    def read(cls, score: api.Score, args: Arguments) -> ScoreRules:
        """Of a checked spec. Raises ValueError for numbers that don't go together."""
        weighted = [group for group in score.groups if group.weight is not None]
        weights = {group.name: number_of(fill(group.weight, args.values), 0) for group in weighted}
        default = ScoreParameters()
        parameters = ScoreParameters(
            pass_mark=number_of(fill(score.pass_, args.values), default.pass_mark),
            marginal_mark=number_of(fill(score.marginal, args.values), default.marginal_mark),
            group_weights=weights,
        )
        groups = {metric: group.name for group in score.groups for metric in group.metrics}
        return cls(parameters, groups, frozenset(score.critical))


@dataclass(frozen=True, slots=True)
class Rules:
    """How the metrics of a run that compare decide together."""

    false_alarm: float = FALSE_ALARM
    when_undecided: str = "pause"
    advance_when_safe: bool = False
    score: ScoreRules | None = None


def read_rules(judge: Judgement | None, args: Arguments, path: str) -> tuple[Rules, tuple[Problem, ...]]:
    """The rules of a checked `judge`, with arguments filled in."""
    if judge is None:
        return Rules(), ()
    try:
        rate = number_of(fill(judge.false_alarm, args.values), FALSE_ALARM)
    except ValueError as error:
        return Rules(), (Problem(f"{path}.falseAlarm", str(error)),)
    if not 0 < rate < HALF:
        return Rules(), (Problem(f"{path}.falseAlarm", f"is {rate:g}, must lie between 0 and 0.5; 0.01 is 1 %"),)
    try:
        score = ScoreRules.read(judge.score, args) if judge.score is not None else None
    except ValueError as error:
        return Rules(), (Problem(f"{path}.score", str(error)),)
    return Rules(rate, judge.when_undecided or "pause", judge.advance_when_safe, score), ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric's comparison.

    selectors: by arm and part, the arm filled in. delay: how long before now a window ends.
    """

    name: str
    kind: Kind
    selectors: Mapping[str, Mapping[str, str]]
    delay: timedelta = DELAY
    rules: Rules = field(default_factory=Rules)

    def under(self, rules: Rules, sharing: int) -> Comparison:
        """The same under a run's rules, where so many metrics share the false-alarm budget."""
        return replace(self, rules=rules, kind=self.kind.with_budget(rules.false_alarm, max(sharing, 1)))

    def question(self, provider: Mapping[str, Any], window: Window) -> dict[str, Any]:
        """What to ask a provider for a window: everything about both arms, in one query."""
        stable = next(text for part, text in self.selectors[STABLE].items() if part in PRESENCE[self.name])
        parts = [
            labelled(arm, part, expression)
            for arm, selectors in self.selectors.items()
            for part, expression in self.kind.questions(selectors, window).items()
        ]
        parts.append(labelled(STABLE, KNOWN, f"count({last_values(stable, window.start)})"))
        return {"prometheus": {**provider["prometheus"], "query": " or ".join(parts), SERIES: True}}


def read_comparison(metric: Metric, path: str, problems: list[Problem]) -> Comparison | None:
    """What a checked metric compares, if it does; its arguments are filled in. path: where `compare` stands."""
    compare, planned = metric.compare, metric.effective_count
    if compare is None:
        return None
    # Most operators never compare.
    from tidegate.core.analysis.compare.gauges import MannWhitney  # noqa: PLC0415
    from tidegate.core.analysis.compare.kinds import KINDS  # noqa: PLC0415

    name = next(kind for kind in SELECTORS if getattr(compare, kind) is not None)
    try:
        kind, templates = KINDS[name](compare)
    except ValueError as error:
        problems.append(Problem(f"{path}.{name}", str(error)))
        return None
    if isinstance(kind, MannWhitney):
        if planned is None or planned > MOST_SAMPLES:
            told = f"judges once at the end: it needs a count of at most {MOST_SAMPLES}"
            problems.append(Problem(f"{path}.{name}.mode", told))
            return None
        kind = replace(kind, planned=planned)
    arms = arm_names(compare)
    unknown = list(_unknown(templates, arms, f"{path}.{name}"))
    problems += unknown
    if unknown:
        return None
    selectors = {arm: {part: _filled(text, known) for part, text in templates.items()} for arm, known in arms.items()}
    return Comparison(name, kind, selectors, parse_duration(compare.delay) if compare.delay else DELAY)


def arm_names(compare: Compare) -> dict[str, dict[str, str]]:
    """By what the arms are known that a spec names."""
    if compare.arms is None:
        return {CANARY: {}, STABLE: {}}
    arms = {CANARY: compare.arms.canary, STABLE: compare.arms.stable}
    return {
        name: {field: value for field, ours in ARM_FIELDS.items() if (value := getattr(arm, ours))}
        for name, arm in arms.items()
    }


def with_arms(metric: Mapping[str, Any], arms: ArmNames) -> Mapping[str, Any]:
    """A raw metric whose comparison knows its arms: what it says itself goes before what the Rollout says.

    An arm that is said to be another version by its hash or its ReplicaSet has nothing but the namespace of the one
    that would be meant else, or two names of one arm would stand for different versions.
    """
    compare = metric.get("compare")
    if not isinstance(compare, Mapping):
        return metric
    own = compare.get("arms") or {}
    merged = {name: _merged(arms.get(name) or {}, own.get(name) or {}) for name in dict.fromkeys((*arms, *own))}
    if not merged:
        return metric
    return {**metric, "compare": {**compare, "arms": merged}}


def _merged(known: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    another = any(own.get(name) for name in ("podTemplateHash", "replicaSet"))
    kept = {name: value for name, value in known.items() if not another or name == "namespace"}
    return {**kept, **own}


def _unknown(templates: Mapping[str, str], arms: ArmNames, path: str) -> Iterator[Problem]:
    for part, text in templates.items():
        for name in dict.fromkeys(found[1] for found in _ARM.finditer(text)):
            for arm, known in arms.items():
                if name not in known:
                    told = f"{{{{arm.{name}}}}} is not known of {arm}: {_remedy(name)}"
                    yield Problem(f"{path}.{part}", told)


def _remedy(name: str) -> str:
    what = {
        "service": "neither the Rollout's strategy nor the Experiment's template has a Service for it",
        "subset": "neither the strategy nor the Experiment's template has a subset of a DestinationRule for it",
    }.get(name, "nothing says which version that is: neither a Rollout, nor the arms of an Experiment's analysis")
    return f"{what}; tell the arms apart by {{{{arm.podTemplateHash}}}}, or name it in compare.arms"


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _ARM.sub(lambda found: known[found[1]], text)
