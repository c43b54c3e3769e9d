"""Replays a template against recorded traffic: the questions that the operator would have asked, window by window."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from tidegate.cli.judging.picture import draw
from tidegate.cli.judging.replaying import Recorded, Replayed, comparison_of, good, replay, scored, splits
from tidegate.cli.printing import Output, dump, echo
from tidegate.cli.told import Told
from tidegate.core.analysis.compare.answers import CANARY, STABLE
from tidegate.core.analysis.compare.comparison import SERIES, with_arms
from tidegate.core.analysis.compare.windows import Window
from tidegate.core.analysis.metrics import Metric, read_run
from tidegate.core.judge.null_splits import FalseAlarms, false_alarms
from tidegate.core.judge.wording import duration
from tidegate.core.times import format_time, parse_duration, parse_time
from tidegate.providers.prometheus import Prometheus

_MOST_WINDOWS: Final = 5000
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line says; see `tidegate analysis backtest --help`."""

    template: Path
    prometheus: str = ""
    data: Path | None = None
    start: str = "1h"
    end: str = ""
    canary: tuple[str, ...] = ()
    stable: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    split: str = ""
    size: int = 1


def backtest(wish: Wish, save: Path | None, picture: Path | None, output: Output | None) -> None:
    """Replay and print. Raises Told."""
    if wish.data and wish.prometheus:
        raise Told("--data is replayed without a server: leave out --prometheus, or --data to ask anew")
    metrics = read_template(wish)
    recorded = _load(wish.data) if wish.data else asyncio.run(_ask(wish, metrics))
    if save is not None:
        save.write_bytes(orjson.dumps(_saved(recorded), option=orjson.OPT_INDENT_2))
    if wish.split:
        _tell_splits(wish, metrics, recorded, picture, output)
    else:
        _tell_incident(metrics, recorded, picture, output)


def read_template(wish: Wish) -> tuple[Metric, ...]:
    """The template's metrics that compare, with arguments and arms filled in. Raises Told."""
    try:
        documents = [d for d in yaml.safe_load_all(wish.template.read_text(encoding="utf-8")) if isinstance(d, dict)]
    except (OSError, yaml.YAMLError) as error:
        raise Told(f"{wish.template} can't be read: {error}") from None
    specs = [d["spec"] for d in documents if str(d.get("kind")).endswith("AnalysisTemplate") and d.get("spec")]
    if not specs:
        raise Told(f"{wish.template} has no AnalysisTemplate")
    given = _pairs(wish.args, "--arg")
    stable = _pairs(wish.stable, "--stable")
    arms = {CANARY: _pairs(wish.canary, "--canary") or stable, STABLE: stable}
    raw = [metric for spec in specs for metric in spec.get("metrics") or () if "compare" in metric]
    if not raw:
        raise Told(f"no metric of {wish.template} has compare: there is nothing to replay")
    args = [
        {**arg, **({"value": given[arg["name"]]} if arg["name"] in given else {})}
        for s in specs
        for arg in s.get("args") or ()
    ]
    judge = next((spec["judge"] for spec in specs if "judge" in spec), None)
    spec = {"metrics": [with_arms(metric, arms) for metric in raw], "args": args, **({"judge": judge} if judge else {})}
    metrics, problems = read_run({"spec": spec})
    if problems:
        hint = "; give what is missing by --arg name=value, --canary or --stable podTemplateHash=…"
        raise Told("; ".join(map(str, problems)) + hint)
    if not wish.split:
        _refuse_one_version(metrics)
    return metrics


def _refuse_one_version(metrics: Sequence[Metric]) -> None:
    for metric in metrics:
        comparison = metric.comparison
        assert comparison is not None
        if comparison.selectors[CANARY] == comparison.selectors[STABLE]:
            told = "would compare one version with itself, which is always safe"
            raise Told(f"metric {metric.name} {told}; name the other by --canary, or split this one by --split pod")


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in ",".join(texts).split(",") if texts else ():
        name, sign, value = text.partition("=")
        if not sign:
            raise Told(f"{option}: {text!r} is not name=value")
        found[name.strip()] = value
    return found


def windows(wish: Wish, interval: timedelta, now: datetime) -> list[Window]:
    """The range, cut into looks. Raises Told."""
    begin, end = _moment(wish.start, now), _moment(wish.end, now) if wish.end else now.replace(microsecond=0)
    count = int((end - begin) / interval)
    if not 0 < count <= _MOST_WINDOWS:
        span = f"from {format_time(begin)} to {format_time(end)}"
        raise Told(f"{span} there are {count} looks; 1 to {_MOST_WINDOWS} can be replayed")
    return [Window(begin + number * interval, begin + (number + 1) * interval) for number in range(count)]


def _moment(text: str, now: datetime) -> datetime:
    try:
        return now.replace(microsecond=0) - parse_duration(text)
    except ValueError:
        pass
    try:
        return parse_time(text).replace(microsecond=0)
    except ValueError:
        raise Told(f"{text!r} is neither a time such as 2026-05-01T10:00:00Z nor a duration such as 2h") from None


async def _ask(wish: Wish, metrics: Sequence[Metric]) -> dict[str, list[tuple[Window, Any]]]:
    """Ask every question of the range, some at once."""
    provider, gate, now = Prometheus(default_address=wish.prometheus), asyncio.Semaphore(_AT_ONCE), datetime.now(UTC)

    async def one(metric: Metric, window: Window) -> tuple[Window, Any]:
        comparison = comparison_of(metric, wish.split)
        spec = comparison.question(metric.provider, window)["prometheus"]
        if wish.prometheus:
            spec = {**spec, "address": wish.prometheus}
        async with gate:
            reading = await provider.measure({**spec, SERIES: True}, seconds=metric.timeout.total_seconds())
        return window, reading.error or [[dict(labels), value] for labels, value in reading.value]

    try:
        found = {}
        for metric in metrics:
            assert metric.interval is not None
            asked = [one(metric, window) for window in windows(wish, metric.interval, now)]
            found[metric.name] = list(await asyncio.gather(*asked))
        return found
    finally:
        await provider.close()


def _saved(recorded: Recorded) -> dict[str, Any]:
    return {
        name: [{"start": format_time(w.start), "end": format_time(w.end), "answer": answer} for w, answer in looks]
        for name, looks in recorded.items()
    }


def _load(path: Path) -> dict[str, list[tuple[Window, Any]]]:
    try:
        raw = orjson.loads(path.read_bytes())
        return {
            name: [(Window(parse_time(l["start"]), parse_time(l["end"])), l["answer"]) for l in looks]  # noqa: E741
            for name, looks in raw.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Told(f"{path} is not a file that `tidegate analysis backtest --save` wrote: {error}") from None


def _tell_incident(metrics: Sequence[Metric], recorded: Recorded, picture: Path | None, output: Output | None) -> None:
    found: dict[str, Replayed] = {}
    for metric in metrics:
        assert metric.comparison is not None
        found[metric.name] = replay(metric, metric.comparison, good(metric, recorded))
    together = scored(metrics, found)
    if picture is not None:
        draw(picture, {name: [one.way] for name, one in found.items()})
    if output in (Output.json, Output.yaml):
        told = {"metrics": {name: _plain(one) for name, one in found.items()}}
        dump({**told, **({"score": asdict(together)} if together else {})}, output)
        return
    begin = min(looks[0][0].start for looks in recorded.values() if looks)
    echo(f"{'metric':<24}{'verdict':<10}{'after':>10}{'looks':>8}  finding")
    for name, one in found.items():
        after = duration((one.at - begin).total_seconds()) if one.at else "-"
        echo(f"{name:<24}{one.verdict:<10}{after:>10}{len(one.way):>8}  {one.sentence}")
    if together:
        echo(f"\ntogether: {together.verdict.value}; {together.sentence}")


def _plain(one: Replayed) -> dict[str, Any]:
    at = format_time(one.at) if one.at else None
    bound = {"broken": one.broken} if one.broken else {}
    return {"verdict": one.verdict, "at": at, "way": one.way, **bound, "finding": one.finding.to_json()}


def _tell_splits(
    wish: Wish, metrics: Sequence[Metric], recorded: Recorded, picture: Path | None, output: Output | None
) -> None:
    told: dict[str, tuple[FalseAlarms, list[Replayed]]] = {}
    for metric in metrics:
        comparison, looks = comparison_of(metric, wish.split), good(metric, recorded)
        # A static bound would fail a version for what it is, not for what tells it from itself.
        alone = replace(metric, failure=None)
        played = [
            replay(alone, comparison, split)
            for split in splits(looks, wish.split, wish.size, saved=wish.data is not None)
        ]
        told[metric.name] = (false_alarms([one.finding.verdict for one in played]), played)
    if picture is not None:
        draw(picture, {name: [one.way for one in played] for name, (_, played) in told.items()})
    if output in (Output.json, Output.yaml):
        fields = FalseAlarms.__dataclass_fields__
        dump({name: {field: getattr(alarms, field) for field in fields} for name, (alarms, _) in told.items()}, output)
        return
    echo(f"{'metric':<24}{'splits':>8}{'alarms':>8}{'share':>9}{'95 %':>16}{'promised':>10}")
    for metric in metrics:
        alarms, played = told[metric.name]
        low, high = (100 * end for end in alarms.interval)
        echo(
            f"{metric.name:<24}{alarms.splits:>8}{alarms.alarms:>8}{100 * alarms.share:>7.1f} %"
            f"{f'{low:.1f} to {high:.1f} %':>16}{_promised(played[0]):>10}"
        )


def _promised(played: Replayed) -> str:
    needed = played.finding.against.needed
    return f"{100 * math.exp(-needed):.2g} %" if math.isfinite(needed) else "nothing"
