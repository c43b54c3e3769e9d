"""What to do about one AnalysisRun now: what to measure, what the measurements say, when to look again.

Everything follows from the run's spec, its status and the time. A process that dies between a measurement
and the write of the status has lost that measurement; the next one takes it again and comes to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tidegate.api.problems import Problem
from tidegate.core.analysis import jobs
from tidegate.core.analysis.compare.deciding import Together, held, judge_compared, judge_together, score_verdict
from tidegate.core.analysis.compare.looking import take
from tidegate.core.analysis.expiry import decide_ended, expiry
from tidegate.core.analysis.metrics import Metric, read_run
from tidegate.core.analysis.progress import MetricProgress, Progress, unknown_fields
from tidegate.core.analysis.verdicts import BAD, Verdict, judge_measurement, judge_metric, worst
from tidegate.core.analysis.world import Measure, RunPlan, RunWorld, Taken
from tidegate.core.judge.score import Score
from tidegate.core.plan import Event
from tidegate.core.times import parse_time


def decide(world: RunWorld) -> RunPlan:
    """Decide about one run: without readings what to measure and when, with readings the new status."""
    status = world.run.get("status") or {}
    before = Progress.read(status)
    if before.ended:
        return decide_ended(world, before)
    metrics, problems = world.understood or read_run(world.run)
    if problems:
        return _refused(world, before, problems)
    terminate = bool((world.run.get("spec") or {}).get("terminate"))
    started_at = before.started_at or _second(min((taken.started_at for taken in world.readings), default=world.now))
    begun = replace(before, started_at=started_at)
    if not terminate and (starts := jobs.starts(metrics, begun, world)):
        return RunPlan(starts=starts)
    measures = () if world.readings or terminate else _due(metrics, before, started_at, world)
    if measures:
        return RunPlan(measures=measures)
    measured = jobs.follow(metrics, _with_readings(metrics, begun, (*world.readings, *world.refused)), world)
    after = _judged(metrics, measured, terminate=terminate, now=world.now)
    written = {**unknown_fields(status), **after.write(metrics)}
    return RunPlan(
        status=written if written != status else None,
        events=_events(before, after),
        cleanup=jobs.unneeded(metrics, after, world),
        again_at=expiry(world.run, after) if after.ended else _next(metrics, after, started_at),
    )


def _due(metrics: Sequence[Metric], progress: Progress, started_at: datetime, world: RunWorld) -> tuple[Measure, ...]:
    """The measurements of all metrics whose time has come, to be taken together."""
    due: list[Measure] = []
    for metric in metrics:
        entry = progress.of(metric)
        at = entry.due_at(metric, started_at)
        if at is not None and at <= world.now and not metric.is_job:
            due.append(_measure(metric, progress, started_at, world))
    return tuple(due)


def _measure(metric: Metric, progress: Progress, started_at: datetime, world: RunWorld) -> Measure:
    window, spec, entry = None, metric.provider, progress.of(metric)
    if metric.comparison is not None:
        window = entry.window(metric, started_at, world.now)
        spec = metric.comparison.question(metric.provider, window)
    return Measure(
        metric.name,
        spec,
        metric.timeout,
        metric.secrets,
        metric.interval,
        started_at,
        resume=entry.flight["metadata"] if entry.flight else {},
        window=window,
        id=f"{world.run['metadata']['uid']}.{metric.name}.{entry.number}",
    )


def _next(metrics: Sequence[Metric], progress: Progress, started_at: datetime) -> datetime | None:
    times = (progress.of(metric).due_at(metric, started_at) for metric in metrics)
    return min((at for at in times if at is not None), default=None)


def _with_readings(metrics: Sequence[Metric], progress: Progress, readings: Sequence[Taken]) -> Progress:
    """Progress with the readings judged and counted.

    A reading counts only where its metric was due when it was taken, so that the same readings given twice
    (a write that was refused and is decided again on fresh state) count once.
    """
    by_name = {metric.name: metric for metric in metrics}
    entries = dict(progress.metrics)
    for taken in readings:
        metric = by_name.get(taken.metric)
        if metric is None or progress.started_at is None:
            continue
        entry = progress.of(metric)
        at = entry.due_at(metric, progress.started_at)
        if at is not None and at <= taken.started_at and _joins(metric, entry, taken, progress.started_at):
            entries[metric.name] = _measured(metric, entry, taken)
    return replace(progress, metrics=entries)


def _joins(metric: Metric, entry: MetricProgress, taken: Taken, started_at: datetime) -> bool:
    """Whether a look's window begins where the last one ended.

    If not, another replica has looked meanwhile, and some of what it counts is counted already.
    """
    if metric.comparison is None:
        return True
    return taken.window is not None and taken.window.start == entry.window(metric, started_at, started_at).start


def _measured(metric: Metric, entry: MetricProgress, taken: Taken) -> MetricProgress:
    """An entry with one more measurement, or with one that goes on."""
    if metric.comparison is None:
        return _answered(metric, entry, taken)
    assert taken.window is not None
    if taken.reading.error:
        return entry.with_measurement(taken, Verdict("Error", taken.reading.error), metric.retention)
    look = take(metric.comparison, metric.failure, entry.standing, taken.window, taken.reading.value)
    told = replace(taken, reading=replace(taken.reading, text=look.text))
    return replace(
        entry.with_measurement(told, Verdict(look.phase, look.reason), metric.retention), standing=look.standing
    )


def _answered(metric: Metric, entry: MetricProgress, taken: Taken) -> MetricProgress:
    if entry.flight is not None:  # a reading of the same measurement
        metadata = {**entry.flight["metadata"], **taken.reading.metadata}
        since = parse_time(entry.flight["startedAt"]) if "startedAt" in entry.flight else taken.started_at
        taken = replace(taken, started_at=since, reading=replace(taken.reading, metadata=metadata))
    reading = taken.reading
    if reading.resume is not None and not reading.error:
        return entry.with_flight(
            taken.started_at, reading.metadata, metric.retention, taken.finished_at + reading.resume
        )
    return entry.with_measurement(taken, judge_measurement(metric, reading), metric.retention)


def _judged(metrics: Sequence[Metric], progress: Progress, *, terminate: bool, now: datetime) -> Progress:
    """Progress with the verdict of every metric and of the run.

    The first bad metric ends the run in this same decision: an abort must not wait for another round. One that is only
    watched is waited for, but what comes of it decides nothing.
    """
    deciding = [metric for metric in metrics if not metric.dry_run]
    verdicts = _verdicts(metrics, progress, terminating=terminate)
    decisive = _decisive(deciding, verdicts, judge_together(metrics, progress, verdicts), done=False)
    ending = terminate or any(verdict.phase in BAD for verdict in decisive.values())
    if ending:
        progress = jobs.abandon(metrics, progress, now)
        verdicts = _verdicts(metrics, progress, terminating=True)
    entries = {
        name: entry.with_verdict(verdicts[name]) if name in verdicts else entry
        for name, entry in progress.metrics.items()
    }
    judged = replace(progress, metrics=entries)
    done = ending or all(judged.of(metric).ended for metric in metrics)
    score = judge_together(metrics, judged, verdicts)
    judged = replace(judged, judge=Together.see(metrics, judged).write(score, ended=done))
    if not done:
        return replace(judged, phase="Running", message=held(deciding, judged))
    decisive = _decisive(deciding, verdicts, score, done=True)
    phase = worst(verdict.phase for verdict in decisive.values()) or "Successful"
    message = _reason(deciding, judged, decisive) or ("Run Terminated" if terminate else "")
    return replace(judged, phase=phase, message=message, completed_at=_second(now))


def _decisive(
    metrics: Sequence[Metric], verdicts: Mapping[str, Verdict], score: Score | None, *, done: bool
) -> dict[str, Verdict]:
    """The verdicts that decide the run: each metric's, but those of a score together, under no name, and of these
    alone that there were no answers."""
    alone = {
        metric.name: verdicts[metric.name]
        for metric in metrics
        if metric.name in verdicts
        and (score is None or metric.comparison is None or verdicts[metric.name].phase == "Error")
    }
    if score is None or not (done or score.verdict == "worse"):
        return alone
    return {**alone, "": score_verdict(score)}


def _verdicts(metrics: Sequence[Metric], progress: Progress, *, terminating: bool) -> dict[str, Verdict]:
    """The verdict of each metric that was measured; one that has ended keeps its own."""
    verdicts: dict[str, Verdict] = {}
    together = Together.see(metrics, progress)
    for metric in metrics:
        entry = progress.metrics.get(metric.name)
        if entry is None and terminating and metric.comparison is not None:
            entry = progress.of(metric)
        if entry is None:
            continue
        under_way = entry.flight is not None
        if metric.comparison is not None:
            verdict = judge_compared(metric, entry, together, terminating=terminating)
        else:
            verdict = Verdict("Running") if under_way else judge_metric(metric, entry.tally, terminating=terminating)
        verdicts[metric.name] = Verdict(entry.phase, verdict.reason) if entry.ended else verdict
    return verdicts


def _reason(metrics: Sequence[Metric], progress: Progress, verdicts: Mapping[str, Verdict]) -> str:
    """Why the run ended as it did: the first of its worst metrics, in Argo's words. Empty for a good end."""
    end = worst(verdict.phase for verdict in verdicts.values())
    if "" in verdicts and verdicts[""].phase == end:
        return _scored(metrics, progress, verdicts[""])
    for metric in metrics:
        verdict = verdicts.get(metric.name)
        if verdict is None or verdict.phase != end or not verdict.reason:
            continue
        reason = f'Metric "{metric.name}" assessed {verdict.phase} due to {verdict.reason}'
        detail = progress.of(metric).message
        return f'{reason}: "Error Message: {detail}"' if detail else reason
    return ""


def _scored(metrics: Sequence[Metric], progress: Progress, verdict: Verdict) -> str:
    """The score's sentence, and the worst of what it is made of."""
    worse = next((entry.standing for metric in metrics if (entry := progress.of(metric)).standing.worse), None)
    told = f"Assessed {verdict.phase} due to {verdict.reason}"
    return f"{told}: {worse.message}" if worse else told


def _events(before: Progress, after: Progress) -> tuple[Event, ...]:
    """One event for each metric that has ended now, one for the run. Notifications match on the reasons."""
    events = [
        _event("Metric", entry.phase, f"Metric '{name}' Completed. Result: {entry.phase}")
        for name, entry in after.metrics.items()
        if entry.ended and not (name in before.metrics and before.metrics[name].ended)
    ]
    if after.message and not after.ended and not before.message:
        events.append(_event("AnalysisRun", "Holding", after.message))
    if after.ended:
        message = f"Analysis Completed. Result: {after.phase}"
        events.append(_event("AnalysisRun", after.phase, f"{message}. {after.message}" if after.message else message))
    return tuple(events)


def _event(kind: str, phase: str, message: str) -> Event:
    return Event(kind + phase, message, "Warning" if phase in ("Error", "Failed") else "Normal")


def _refused(world: RunWorld, before: Progress, problems: Sequence[Problem]) -> RunPlan:
    """A run that can't be carried out ends in Error at once and says what to mend."""
    message = "Analysis spec invalid: " + "; ".join(str(problem) for problem in problems)
    at = _second(world.now)
    after = replace(before, phase="Error", message=message, started_at=before.started_at or at, completed_at=at)
    unneeded = jobs.unneeded((), Progress(), world)
    return RunPlan(
        status=after.write(()), events=_events(before, after), cleanup=unneeded, again_at=expiry(world.run, after)
    )


def _second(moment: datetime) -> datetime:
    """The whole second, as the status keeps it: what is decided on must survive being written down."""
    return moment - timedelta(microseconds=moment.microsecond)
