"""The record of a run as a person reads it: a sentence, both arms, ratio, evidence, and a small chart of its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tidegate.api import names
from tidegate.cli.printing import Output, dump, echo
from tidegate.cli.session import Session, visit
from tidegate.cli.told import Told
from tidegate.cli.words import Where

_BARS: Final = "▁▂▃▄▅▆▇█"


def explain(where: Where, name: str, output: Output | None) -> None:
    """Print what a run's comparisons have found."""
    visit(where, lambda session: _explain(session, name, output))


async def _explain(session: Session, name: str, output: Output | None) -> None:
    run = await session.get(names.ANALYSIS_RUN, name)
    status = run.get("status") or {}
    found = {m["name"]: m["compare"] for m in status.get("metricResults") or () if m.get("compare")}
    if not found:
        compares = any("compare" in metric for metric in run["spec"]["metrics"])
        why = "has had no look yet" if compares else "has no metric with compare: its measurements say all there is"
        raise Told(f"AnalysisRun {name} {why}; `kubectl get analysisrun {name} -o yaml` shows it")
    if output in (Output.json, Output.yaml):
        dump({"phase": status.get("phase"), "judge": status.get("judge") or {}, "metrics": found}, output)
        return
    for line in lines(name, status, found):
        echo(line)


def lines(name: str, status: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The whole answer."""
    yield f"AnalysisRun {name}: {status.get('phase', 'Pending')}"
    if status.get("message"):
        yield f"  {status['message']}"
    judge = status.get("judge") or {}
    for field in ("message", "hold"):
        if judge.get(field) and judge[field] not in status.get("message", ""):
            yield f"  {judge[field]}"
    for metric, entry in found.items():
        yield ""
        yield from _metric(metric, entry)


def _metric(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    record = entry.get("record") or {}
    yield f"{name} ({entry.get('kind')}): {entry.get('verdict') or 'no look yet'}"
    yield f"  {entry.get('message', '')}"
    yield from _arms(record.get("arms") or {})
    if ratio := _ratio(record.get("ratio") or {}):
        yield f"  ratio     {ratio}"
    trail = record.get("trail") or []
    for side, told, column in (("against", "worse", 1), ("favour", "safe", 2)):
        evidence = record.get(side) or {}
        if "needed" in evidence:  # which it is not in the mode mannWhitney
            yield f"  {told:<8}  {chart([point[column] for point in trail])}  {_evidence(evidence)}"
    if record.get("looks"):
        yield f"  looks     {record['looks']}, the last one up to {entry.get('upTo')}"
    for caution in record.get("cautions") or ():
        yield f"  mind      {caution}"


def _arms(arms: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    fields = list(dict.fromkeys(field for arm in arms.values() for field in arm))
    if not fields:
        return
    yield "            " + "".join(f"{field:>12}" for field in fields)
    for arm, figures in arms.items():
        yield f"  {arm:<10}" + "".join(
            f"{figures[field]:>12,.6g}" if field in figures else f"{'-':>12}" for field in fields
        )


def _ratio(ratio: Mapping[str, float]) -> str:
    if "value" not in ratio:
        return ""
    low, high = (f"{ratio[end]:.3g}" if end in ratio else "?" for end in ("lower", "upper"))
    return f"{ratio['value']:.3g}, each end {100 * ratio.get('confidence', 0.95):g} % sure: {low} to {high}"


def _evidence(evidence: Mapping[str, Any]) -> str:
    told = f"{evidence.get('log_e', 0):.2f} of {evidence['needed']:.2f} needed"
    crossed = evidence.get("crossed")
    if not crossed:
        return told
    return f"{told}; reached at look {crossed['look']}" + (f", {crossed['at']}" if crossed.get("at") else "")


def chart(shares: Sequence[float]) -> str:
    """Shares of what is needed as bars; a full one is enough."""
    return "".join(_BARS[max(0, min(int(share * len(_BARS)), len(_BARS) - 1))] for share in shares)
