"""Measurements that are Jobs: started by one decision, ended by a later one, and never lost in between.

A Job's name follows from the run, the metric and the number of the measurement. So a process that dies after it has
created one finds it again under that name, and no measurement is ever started twice. In the status a measurement that
is under way has no `finishedAt` and names its Job, as in Argo Rollouts; clients read it from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from tidegate.core.analysis.job_objects import CreateJob, DeleteJob, Job, job_body, job_name
from tidegate.core.analysis.metrics import Metric
from tidegate.core.analysis.progress import JOB_NAME, JOB_NAMESPACE, MetricProgress, Progress
from tidegate.core.analysis.verdicts import Verdict
from tidegate.core.analysis.world import Reading, RunWorld, Taken
from tidegate.core.times import parse_time


def starts(metrics: Sequence[Metric], progress: Progress, world: RunWorld) -> tuple[CreateJob, ...]:
    """The Jobs to create now: for measurements that are due, have no Job and were not refused one just now."""
    there = {job.name for job in world.jobs}
    refused = {taken.metric for taken in world.refused}
    due = (
        metric
        for metric in metrics
        if metric.is_job and metric.name not in refused and _is_due(metric, progress, world)
    )
    named = ((metric, _name_for(metric, progress, world)) for metric in due)
    return tuple(
        CreateJob(metric.name, job_body(name, metric.name, metric.provider["job"], world.run))
        for metric, name in named
        if name not in there
    )


def follow(metrics: Sequence[Metric], progress: Progress, world: RunWorld) -> Progress:
    """Progress with what the Jobs show: measurements that have been started, and those that have ended."""
    entries = dict(progress.metrics)
    for metric in metrics:
        if metric.is_job:
            entry = _begun(metric, progress, world)
            if entry.flight is not None and not entry.ended:
                verdict = _judge(_find(world, entry.flight))
                entries[metric.name] = entry if verdict is None else _finish(metric, entry, verdict, world.now)
    return replace(progress, metrics=entries)


def abandon(metrics: Sequence[Metric], progress: Progress, now: datetime) -> Progress:
    """Progress of a run that ends: measurements that are under way say nothing."""
    entries = dict(progress.metrics)
    for metric in metrics:
        entry = entries.get(metric.name)
        if entry is not None and entry.flight is not None and not entry.ended:
            what = "its Job" if metric.is_job else "this measurement"
            verdict = Verdict("Inconclusive", f"the run was ended before {what} was")
            entries[metric.name] = _finish(metric, entry, verdict, now)
    return replace(progress, metrics=entries)


def unneeded(metrics: Sequence[Metric], progress: Progress, world: RunWorld) -> tuple[DeleteJob, ...]:
    """Jobs that nobody waits for though they run, and those that ended so long ago that the status has forgotten
    them."""
    awaited = {
        entry.flight["metadata"].get(JOB_NAME)
        for entry in progress.metrics.values()
        if entry.flight and not entry.ended
    }
    kept = {metric.name: metric.retention for metric in metrics}
    doomed = [job for job in world.jobs if job.running and job.name not in awaited]
    for name in kept:
        ended = [job for job in world.jobs if job.metric == name and job.end and not job.deleting]
        doomed += sorted(ended, key=lambda job: job.number)[: -kept[name]]
    return tuple(map(DeleteJob, doomed))


def _finish(metric: Metric, entry: MetricProgress, verdict: Verdict, now: datetime) -> MetricProgress:
    """An entry whose measurement under way has ended."""
    flight = entry.flight
    assert flight is not None
    started_at = parse_time(flight["startedAt"]) if "startedAt" in flight else now
    taken = Taken(metric.name, started_at, now, Reading(metadata=flight["metadata"]))
    return entry.with_measurement(taken, verdict, metric.retention)


def _begun(metric: Metric, progress: Progress, world: RunWorld) -> MetricProgress:
    """The entry of a metric, with its next measurement under way if the Job for that is there."""
    entry = progress.of(metric)
    if entry.ended or not _is_due(metric, progress, world):
        return entry
    job = next((job for job in world.jobs if job.name == _name_for(metric, progress, world)), None)
    if job is None:
        return entry
    metadata = {JOB_NAME: job.name, JOB_NAMESPACE: job.namespace}
    return entry.with_flight(job.created, metadata, metric.retention)


def _is_due(metric: Metric, progress: Progress, world: RunWorld) -> bool:
    assert progress.started_at is not None
    at = progress.of(metric).due_at(metric, progress.started_at)
    return at is not None and at <= world.now


def _find(world: RunWorld, flight: Mapping[str, Any]) -> Job | str:
    """The Job of a measurement under way, or the name of one that is gone."""
    name: str = flight["metadata"][JOB_NAME]
    return next((job for job in world.jobs if job.name == name), name)


def _judge(job: Job | str) -> Verdict | None:
    """What a Job says; None while it runs."""
    if isinstance(job, str):
        return Verdict("Error", f"Job {job} is gone: somebody has deleted it before it ended")
    if job.end:
        return Verdict("Successful") if job.end == "Complete" else Verdict("Failed", job.why)
    if job.deleting:
        return Verdict("Error", f"Job {job.name} is being deleted before it has ended")
    return Verdict("Inconclusive", f"Job {job.name}: {job.unpullable}") if job.unpullable else None


def _name_for(metric: Metric, progress: Progress, world: RunWorld) -> str:
    return job_name(world.run["metadata"]["uid"], metric.name, progress.of(metric).number)
