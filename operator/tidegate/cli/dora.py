"""`tidegate dora`: deployment frequency, lead time, change failure rate and time to recover, as a table or data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tidegate.api import names
from tidegate.cli.printing import Output, dump, note, span, table
from tidegate.cli.session import visit
from tidegate.cli.told import Told
from tidegate.cli.words import Where
from tidegate.observe.dora import Figures, figures

_WINDOW: Final = re.compile(r"([1-9]\d{0,4})([dhw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def dora(where: Where, since: str, by_team: bool, team_label: str, output: Output | None) -> None:
    """Show the figures of each Rollout, or of each team."""
    if (found := _WINDOW.fullmatch(since)) is None:
        raise Told(f"--since: {since!r} is no time such as 12h, 30d or 8w")
    if output in (Output.name, Output.wide):
        raise Told(f"-o {output}: figures are shown as a table, or with -o json or yaml")
    rollouts = visit(where, lambda session: session.all(names.ROLLOUT))
    window = int(found[1]) * _UNITS[found[2]]
    rows = figures(rollouts, datetime.now(UTC), window, team_label=team_label, by_team=by_team)
    if output is not None:
        dump({"items": [as_data(row) for row in rows]}, output)
    elif rows:
        table(*as_table(rows, by_team))
    else:
        note("No Rollouts found.")


def as_data(row: Figures) -> dict[str, Any]:
    """The figures for programs: seconds and percent, null where there is nothing to tell."""
    return {**asdict(row), "since": row.since.isoformat(timespec="seconds"), "failure_rate": row.failure_rate}


def as_table(rows: Sequence[Figures], by_team: bool) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The figures for people: head and rows."""
    who = ("TEAM",) if by_team else ("NAMESPACE", "NAME", "TEAM")
    head = (*who, "DEPLOYMENTS", "PER DAY", "LEAD TIME", "FAILED", "RECOVERY", "SINCE")
    return head, [_cells(row, by_team) for row in rows]


def _cells(row: Figures, by_team: bool) -> Sequence[str]:
    who = (row.team or "-",) if by_team else (row.namespace, row.name, row.team or "-")
    rate = "-" if row.failure_rate is None else f"{row.failure_rate:.0f}% ({row.failures}/{row.changes})"
    lead, recovery = ("-" if seconds is None else span(seconds) for seconds in (row.lead, row.recovery))
    return (*who, str(row.deployments), f"{row.per_day:.2f}", lead, rate, recovery, f"{row.since:%Y-%m-%d %H:%M}")
