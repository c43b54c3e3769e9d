"""What the reading verbs show of Experiments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from tidegate.api import names
from tidegate.cli.mirror import Mirror, following
from tidegate.cli.printing import Output, age, coloured, columns, dump, echo
from tidegate.cli.screen import Screen, next_picture
from tidegate.cli.session import Obj, Session, visit
from tidegate.cli.words import Where
from tidegate.core.view.experiment import ExperimentView, experiment_view

_KIND = "Experiment"


def get(where: Where, name: str, output: Output | None, watch: bool) -> None:
    """Show an Experiment: its versions and its analyses."""
    visit(where, lambda session: _get(session, name, output, watch))


async def _get(session: Session, name: str, output: Output | None, watch: bool) -> None:
    experiment = await session.get(_KIND, name)
    if output is Output.name:
        echo(f"experiment.{names.GROUP}/{name}")
    elif watch:
        await _watch(session, name, output)
    else:
        _show(experiment_view(experiment), output, echo)


async def _watch(session: Session, name: str, output: Output | None) -> None:
    changed, screen = asyncio.Event(), Screen()
    mirror = Mirror(session, _KIND, changed, name=name, needed=True)
    async with following([mirror]):
        while mirror.objects:
            changed.clear()
            mirror.check()
            _show(experiment_view(mirror.objects[0]), output, screen.show, lost=mirror.lost)
            await next_picture(changed, tick=output is None and coloured())
    echo(f"Experiment {name} has been deleted")


def _show(view: ExperimentView, output: Output | None, show: Callable[[str], None], lost: str = "") -> None:
    if output in (Output.json, Output.yaml):
        dump(asdict(view), output)
    else:
        show("\n".join([*_lines(view), *([f"note: out of touch: {lost}"] if lost else [])]))


def _lines(view: ExperimentView) -> Iterator[str]:
    row = (view.name, view.phase, age(view.created), view.message)
    yield from columns(("NAME", "STATUS", "AGE", "MESSAGE"), [row])
    versions = [(each.name, each.status, f"{each.available}/{each.replicas}", each.message) for each in view.versions]
    if versions:
        yield ""
        yield from columns(("TEMPLATE", "STATUS", "AVAILABLE", "MESSAGE"), versions)
    analyses = [(each.name, each.phase, each.run or "-", each.message) for each in view.analyses]
    if analyses:
        yield ""
        yield from columns(("ANALYSIS", "STATUS", "RUN", "MESSAGE"), analyses)


def row(experiment: Obj) -> dict[str, Any]:
    """An Experiment in a list."""
    view = experiment_view(experiment)
    return {
        "namespace": view.namespace,
        "name": view.name,
        "status": view.phase,
        "versions": ",".join(version.name for version in view.versions),
        "available": f"{sum(v.available for v in view.versions)}/{sum(v.replicas for v in view.versions)}",
        "created": view.created,
        "message": view.message,
    }
