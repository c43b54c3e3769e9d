"""A Rollout's tree as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from tidegate.cli.printing import age, paint, span
from tidegate.core.times import parse_time
from tidegate.core.view.tree import PodView, RevisionView, RolloutView, RunView

_MARKS = {"successful": "✔", "failed": "✖", "error": "⚠", "inconclusive": "?"}


def draw(view: RolloutView, notes: Iterable[str] = (), *, wide: bool = False) -> str:
    """The whole picture, ready to print."""
    return "\n".join([*_head(view), "", *_tree(view, wide), *(f"note: {text}" for text in (*view.asides, *notes))])


def _head(view: RolloutView) -> Iterator[str]:
    phase = paint(view.phase)
    yield f"Name:       {view.name}"
    yield f"Namespace:  {view.namespace}"
    yield f"Status:     {phase}" + (f" - {view.message}" if view.message else "")
    yield f"Strategy:   {view.strategy}"
    if view.step is not None:
        count = len(view.steps)
        at = "all done" if view.step >= count else view.steps[view.step]
        yield f"Step:       {min(view.step + 1, count)}/{count} ({at})"
    if view.weight is not None:
        yield f"Weight:     {view.weight} to the canary, as the route shows it"
    for label, image in _images(view):
        yield f"{label:<12}{image}"
    yield (
        f"Replicas:   {view.desired} desired, {view.current} current, {view.updated} updated, "
        f"{view.ready} ready, {view.available} available"
    )


def _images(view: RolloutView) -> Iterator[tuple[str, str]]:
    label = "Images:"
    for revision in view.revisions:
        if not revision.replicas and not revision.roles:
            continue
        for image in revision.images:
            yield label, image + (f" ({', '.join(revision.roles)})" if revision.roles else "")
            label = ""


def _tree(view: RolloutView, wide: bool) -> Iterator[str]:
    rows: list[tuple[str, str, str, str, str]] = [
        ("⟳ " + view.name, "Rollout", view.phase, age(view.created), ""),
    ]
    last = len(view.revisions) - 1
    for number, revision in enumerate(view.revisions):
        rows += _revision(revision, number == last)
    yield from _columns([("NAME", "KIND", "STATUS", "AGE", "INFO"), *rows], wide)


def _revision(revision: RevisionView, last: bool) -> Iterator[tuple[str, str, str, str, str]]:
    branch, below = ("└──", "   ") if last else ("├──", "│  ")
    yield (f"{branch}# revision {revision.revision}", "", "", "", _traffic(revision))
    children: list[tuple[str, str, str, str, str, list[PodView]]] = [
        (
            revision.replica_set,
            "ReplicaSet",
            _set_status(revision),
            age(revision.created),
            _set_info(revision),
            list(revision.pods),
        ),
        *((run.name, run.kind, run.phase, age(run.created), _run_info(run), []) for run in revision.runs),
    ]
    for place, (name, kind, status, old, info, pods) in enumerate(children):
        ends = place == len(children) - 1
        yield (f"{below}{'└──' if ends else '├──'}{name}", kind, status, old, info)
        deeper = below + ("   " if ends else "│  ")
        for number, pod in enumerate(pods):
            fork = "└──" if number == len(pods) - 1 else "├──"
            restarts = f", {pod.restarts} restarts" if pod.restarts else ""
            yield (f"{deeper}{fork}{pod.name}", "Pod", pod.status, age(pod.created), f"ready {pod.ready}{restarts}")


def _traffic(revision: RevisionView) -> str:
    return "" if revision.weight is None else f"weight {revision.weight}"


def _set_status(revision: RevisionView) -> str:
    if not revision.replicas:
        return "ScaledDown"
    return "Healthy" if revision.available >= revision.replicas else "Progressing"


def _set_info(revision: RevisionView) -> str:
    parts = [*revision.roles]
    if revision.replicas:
        parts.append(f"{revision.available}/{revision.replicas} available")
    if revision.deadline and revision.replicas:
        left = (parse_time(revision.deadline) - datetime.now(UTC)).total_seconds()
        parts.append(f"goes in {span(left)}")
    return ", ".join(parts)


def _run_info(run: RunView) -> str:
    counts = " ".join(f"{_MARKS[name]} {count}" for name, count in run.counts.items())
    return ", ".join(filter(None, (run.type, counts, run.message)))


def _columns(rows: list[tuple[str, str, str, str, str]], wide: bool) -> Iterator[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    for row in rows:
        cells = [
            paint(cell, cell.ljust(width)) if n == 2 else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        info = row[4] if wide or len(row[4]) <= 100 else row[4][:99] + "…"
        yield "  ".join([*cells, info]).rstrip()
