"""`tidegate dora`: deployment frequency, lead time, change failure rate and time to recover, as a table or JSON."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from tidegate.observe.dora import Figures

_WINDOW: Final = re.compile(r"(\d+)([dhw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def dora(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of this namespace; all unless given.")] = "",
    since: Annotated[str, typer.Option(help="How far back: 12h, 30d or 8w.")] = "30d",
    by_team: Annotated[bool, typer.Option("--by-team", help="One line for each team.")] = False,
    team_label: Annotated[str, typer.Option(help="The label of a Rollout that names its team.")] = "team",
    output: Annotated[str, typer.Option("--output", "-o", help="json; a table unless given.")] = "",
) -> None:
    """Show the four DORA figures of Rollouts or teams."""
    from tidegate.cluster.errors import ClusterError  # noqa: PLC0415 - the help needs none of it
    from tidegate.observe.dora import figures  # noqa: PLC0415
    from tidegate.shell.login import NoCredentials  # noqa: PLC0415

    found = _WINDOW.fullmatch(since)
    if found is None or not int(found[1]):
        raise typer.BadParameter(f"{since!r} is no time such as 12h, 30d or 8w", param_hint="--since")
    if output not in ("", "json"):
        raise typer.BadParameter(f"{output!r} is not json", param_hint="--output")
    try:
        rollouts = asyncio.run(_rollouts(namespace))
    except (ClusterError, NoCredentials) as error:
        typer.echo(f"tidegate: can't read the Rollouts: {error}", err=True)
        raise typer.Exit(4) from None
    window = int(found[1]) * _UNITS[found[2]]
    rows = figures(rollouts, datetime.now(UTC), window, team_label=team_label, by_team=by_team)
    typer.echo(as_json(rows) if output else as_table(rows, by_team))


async def _rollouts(namespace: str) -> list[dict[str, Any]]:
    from tidegate.cluster.client import Client  # noqa: PLC0415
    from tidegate.cluster.http_transport import HttpTransport  # noqa: PLC0415
    from tidegate.shell.login import credentials  # noqa: PLC0415

    transport = HttpTransport(credentials())
    try:
        found, _ = await Client(transport).list("Rollout", namespace)
    finally:
        await transport.close()
    return found


def as_json(rows: list[Figures]) -> str:
    """The figures for programs: seconds, and null where there is nothing to tell."""
    told = [{**asdict(row), "since": row.since.isoformat(), "failure_rate": row.failure_rate} for row in rows]
    return json.dumps(told, indent=2)


def as_table(rows: list[Figures], by_team: bool) -> str:
    """The figures for people."""
    head = ("TEAM",) if by_team else ("NAMESPACE", "NAME", "TEAM")
    table = [(*head, "DEPLOYMENTS", "PER DAY", "LEAD TIME", "FAILED", "RECOVERY", "SINCE")]
    for row in rows:
        who = (row.team or "-",) if by_team else (row.namespace, row.name, row.team or "-")
        rate = "-" if row.failure_rate is None else f"{row.failure_rate:.0f}% ({row.failures}/{row.changes})"
        times = (_duration(row.lead), rate, _duration(row.recovery))
        table.append((*who, str(row.deployments), f"{row.per_day:.2f}", *times, f"{row.since:%Y-%m-%d %H:%M}"))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table)
    return "\n".join(line.rstrip() for line in lines)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size) // smaller
            return f"{int(seconds) // size}{unit}{f'{rest}{name}' if rest else ''}"
    return f"{int(seconds)}s"
