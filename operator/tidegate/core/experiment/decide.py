"""From a world to a plan: the one decision about an Experiment, pure and repeatable.

The verdict is written down before anything that follows from it is done, for a version that is taken down looks like
one that failed. What was decided stays decided; only an Experiment that never began, for its spec made no sense, begins
when that has been mended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidegate.api import names
from tidegate.api.problems import Problem
from tidegate.core.experiment import asking, runs, versions
from tidegate.core.experiment.naming import version_hash
from tidegate.core.experiment.report import report, tell
from tidegate.core.experiment.verdict import Part, judge
from tidegate.core.experiment.world import Draft, ExperimentWorld
from tidegate.core.hashing import MalformedError
from tidegate.core.plan import Plan
from tidegate.core.rollout import conditions
from tidegate.core.rollout.world import ENDED
from tidegate.core.times import format_micro, parse_duration, parse_time

_COUNTS_MAY_WAIT: Final = 0.5
_VOLATILE: Final = frozenset(
    {"replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "lastTransitionTime"}
)


def decide(world: ExperimentWorld) -> Plan:
    """Decide what to do for an Experiment now. One that is being deleted takes with it what it owns."""
    if "deletionTimestamp" in world.experiment["metadata"]:
        return Plan()
    refused = conditions.holds(world.status.get("conditions") or (), names.CONDITION_INVALID_SPEC)
    before = world.status
    problems: Sequence[Problem] = ()
    if refused or not world.ended:
        problems = world.problems or _problems(world)
        if refused and not problems:
            before = {}
    draft = Draft(world, before)
    if problems:
        _refuse(draft, problems)
    elif before.get("phase") in ENDED:
        runs.end_all(draft)
        versions.wind_down(draft)
    else:
        _run(draft)
    report(draft, problems)
    return _plan(draft)


def _run(draft: Draft) -> None:
    """Have the versions run and compared, until there is a verdict."""
    spec, status = draft.spec, draft.status
    over = _over(draft)
    versions.retire_strays(draft)
    for index in range(len(spec.templates)):
        versions.follow(draft, index, over=over)
    states = [draft.templates[given.name] for given in spec.templates]
    up = (names.TEMPLATE_RUNNING, names.TEMPLATE_SUCCESSFUL)
    if "availableAt" not in status and not spec.terminate and all(each.get("status") in up for each in states):
        status["availableAt"] = format_micro(draft.world.now)
        _over(draft)
    for index in range(len(spec.analyses)):
        runs.follow(draft, index)
    analyses = [
        Part(entry.get("phase", ""), _told(entry), given.required_for_completion)
        for given in spec.analyses
        for entry in [draft.runs.get(given.name, {"name": given.name})]
    ]
    parts = [Part(each["status"], each.get("message", "")) for each in states]
    status["phase"], message = judge(parts, analyses, terminated=spec.terminate)
    _say(draft, message)


def _refuse(draft: Draft, problems: Sequence[Problem]) -> None:
    """Say what is wrong, and end what may be under way."""
    draft.status["phase"] = names.RUN_ERROR
    _say(draft, f"{names.REASON_INVALID_SPEC}: " + "; ".join(map(str, problems)))
    if draft.before.get("phase") in ENDED:
        runs.end_all(draft)
        versions.wind_down(draft)


def _problems(world: ExperimentWorld) -> tuple[Problem, ...]:
    """What is wrong with a spec that can be read. What its analyses need is only asked before they begin."""
    assert world.spec is not None
    for index, given in enumerate(world.spec.templates):
        if world.set_of(given.name) is None:
            try:
                version_hash(world.name, given.name, given.template, None)
            except MalformedError as error:
                return (Problem(f"spec.templates[{index}].template.{error.problem.path}", error.problem.message),)
    if world.status.get("availableAt") or not world.spec.analyses:
        return ()
    asked, rules = asking.questions(world.spec), asking.rules(world.spec)
    return asking.check(asked, rules, world.templates, runs.versions(world), runs.NO_ROLLOUT)


def _over(draft: Draft) -> bool:
    """Whether the Experiment has run for as long as it should."""
    since, duration = draft.status.get("availableAt"), draft.spec.duration
    return bool(since and duration) and draft.reached(parse_time(str(since)) + parse_duration(duration))


def _told(entry: Mapping[str, Any]) -> str:
    run = f" (AnalysisRun {entry['analysisRun']})" if entry.get("analysisRun") else ""
    why = f": {entry['message']}" if entry.get("message") else ""
    return f"Analysis {entry['name']}{run} ended as {entry.get('phase')}{why}"


def _say(draft: Draft, message: str) -> None:
    if message:
        draft.status["message"] = message
    else:
        draft.status.pop("message", None)


def _plan(draft: Draft) -> Plan:
    if draft.actions:  # The decision is made again on what they bring, and only the last one's status is written.
        return Plan(actions=tuple(draft.actions))
    before, after = draft.world.status, draft.status
    if after == before:
        return Plan(again_at=draft.wake)
    quiet = _steady(before) == _steady(after)
    return Plan(
        status=after, events=tuple(tell(draft)), again_at=draft.wake, may_wait=_COUNTS_MAY_WAIT if quiet else 0.0
    )


def _steady(status: Mapping[str, Any]) -> dict[str, Any]:
    """A status without the numbers of pods."""
    steady = [
        {field: value for field, value in entry.items() if field not in _VOLATILE}
        for entry in status.get("templateStatuses") or ()
    ]
    return {**status, "templateStatuses": steady, "conditions": ()}
