"""`tidegate analysis`: what it prints, and what it says when it can't."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.analysis.simulation import Simulation, analysis_run
from tests.analysis.traffic import answer, compared, steadily
from tidegate.cli.judging.backtesting import Wish, backtest, windows
from tidegate.cli.judging.explaining import chart, lines
from tidegate.cli.judging.planning import plan, read_steps
from tidegate.cli.printing import Output
from tidegate.cli.told import Told
from tidegate.core.times import format_time, parse_time

BEGIN = parse_time("2026-05-01T10:00:00Z")


def explained(say: Any, **fields: Any) -> str:
    played = Simulation(analysis_run(compared(count=12, **fields)), say).play(until=timedelta(minutes=10))
    found = {m["name"]: m["compare"] for m in played.status["metricResults"]}
    return "\n".join(lines("shop-6f-2", played.status, found))


def test_a_run_is_explained_with_its_figures_and_a_chart() -> None:
    told = explained(steadily((0.5, 5), (0.5, 50)))
    assert told.startswith(
        'AnalysisRun shop-6f-2: Failed\n  Metric "errors" assessed Failed due to canary fails 10.0 %'
    )
    assert "errors (counts): worse" in told and "█" in told and "reached at look" in told
    assert [line.split()[0] for line in told.splitlines() if line.startswith("  canary   ")] == ["canary"]


def test_a_run_that_holds_says_for_what() -> None:
    assert "too little traffic" in explained(steadily((0, 0.05), (0, 0.05)))


def test_a_test_without_evidence_is_explained_without_it() -> None:
    told = "\n".join(lines("shop-6f-2", {}, {"cpu": mann_whitney()}))
    assert "cpu (samples): worse" in told and "98 % sure of" in told and "needed" not in told


def mann_whitney() -> dict[str, Any]:
    def say(_: Any, taken: int) -> Any:
        return answer([("canary", "gauge", "c", 3 + 0.02 * (taken % 3)), ("stable", "gauge", "s", 1)])

    metric = compared(
        "cpu", {"samples": {"gauge": 'cpu{h="{{arm.podTemplateHash}}"}', "mode": "mannWhitney"}}, count=12
    )
    found: dict[str, Any] = Simulation(analysis_run(metric), say).play().result("cpu")["compare"]
    return found


def test_a_chart_is_full_when_the_evidence_suffices() -> None:
    assert chart([-3, 0, 0.5, 0.99, 1.2]) == "▁▁▅██"


def test_a_plan_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    limits = (0.01, 1.1, 2.0)
    plan(200, "1%", "50%:2m", interval="30s", limits=limits, output=None)
    told = capsys.readouterr().out.splitlines()
    assert told[0].split()[:3] == ["canary", "fails", "undone"] and len(told) == 9
    assert "is undone in 9 of 10 rollouts of 2 min" in told[-1]
    plan(200, "1%", "50%:2m", interval="30s", limits=limits, output=Output.json)
    assert [one["ratio"] for one in json.loads(capsys.readouterr().out)["outlook"]] == [1, 1.5, 2, 3, 5, 10]


@pytest.mark.parametrize(
    ("steps", "rate", "words"),
    [
        ("5%", "1%", "is not a step such as 5%:10m"),
        ("5%:x", "1%", "is not a duration"),
        ("5%:10m", "2", "error rate"),
        ("5%:10m", "little", "'little' is not a share such as 0.5%"),
        ("5%:10m,100%:1m", "1%", "'100%:1m': at 100 % there is nobody to compare with"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(steps: str, rate: str, words: str) -> None:
    with pytest.raises(Told, match=words):
        plan(10, rate, steps, interval="30s", limits=(0.01, 1.1, 2.0), output=None)


def test_steps_are_weights_and_times() -> None:
    assert [(s.share, s.seconds) for s in read_steps("5%:10m, 50:90s")] == [(0.05, 600), (0.5, 90)]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return written(tmp_path, [compared()], args=[{"name": "unused", "value": "x"}])


def written(tmp_path: Path, metrics: list[dict[str, Any]], **fields: Any) -> Path:
    """A template that leaves its arms to the command line."""
    metrics = [{**m, "compare": {k: v for k, v in m["compare"].items() if k != "arms"}} for m in metrics]
    path, spec = tmp_path / "template.yaml", {"metrics": metrics, **fields}
    path.write_text(yaml.safe_dump({"kind": "AnalysisTemplate", "metadata": {"name": "t"}, "spec": spec}))
    return path


CANARY, STABLE = ("podTemplateHash=6f",), ("podTemplateHash=5a",)


def recorded(tmp_path: Path, arms: dict[str, dict[str, float]], looks: int = 40) -> Path:
    """Looks of 30 seconds. arms: the share of bad requests by pod, of 200 requests each; some by chance."""
    chance, answers = random.Random(5), []
    for number in range(looks):
        answer: list[Any] = [[{"tidegate_arm": "stable", "tidegate_part": "known"}, 1]]
        for arm, pods in arms.items():
            for pod, rate in pods.items():
                bad = sum(chance.random() < rate for _ in range(200))
                for part, value in (("total", 200), ("bad", bad)):
                    answer.append([{"tidegate_arm": arm, "tidegate_part": part, "pod": pod}, value])
        start = BEGIN + timedelta(seconds=30 * number)
        end = start + timedelta(seconds=30)
        answers.append({"start": format_time(start), "end": format_time(end), "answer": answer})
    answers[3]["answer"] = "Prometheus gave no answer"
    path = tmp_path / "traffic.json"
    path.write_text(json.dumps({"errors": answers}))
    return path


def test_an_incident_is_replayed_and_it_is_told_how_soon_it_would_have_been_seen(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = recorded(tmp_path, {"canary": {"c": 0.06}, "stable": {"s": 0.01, "t": 0.01}})
    picture, saved = tmp_path / "way.svg", tmp_path / "again.json"

    backtest(Wish(template, data=data, canary=CANARY, stable=STABLE), saved, picture, None)

    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["metric", "verdict", "after"]
    assert row.split()[:2] == ["errors", "worse"] and "times as often" in row
    assert picture.read_text().startswith("<svg") and picture.read_text().count("polyline") == 1
    assert json.loads(saved.read_text()) == json.loads(data.read_text())


def test_one_version_against_itself_shows_the_rate_of_false_alarms(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alike = recorded(tmp_path, {"stable": dict.fromkeys("abcdef", 0.02)}, looks=12)
    wish = Wish(template, data=alike, stable=("podTemplateHash=5a",), split="pod", size=2)
    backtest(wish, None, tmp_path / "splits.svg", Output.json)
    found = json.loads(capsys.readouterr().out)["errors"]
    assert (found["splits"], found["alarms"]) == (15, 0)
    assert (tmp_path / "splits.svg").read_text().count("polyline") == 15

    backtest(wish, None, None, None)
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["errors", "15", "0"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"stable": ("hash",)}, "--stable: 'hash' is not name=value"),
        ({}, "is not known of canary"),
        ({"stable": STABLE}, "would compare one version with itself, which is always safe; name the other by --canary"),
        ({"stable": STABLE, "canary": CANARY, "prometheus": "http://p"}, "leave out --prometheus"),
        ({"stable": ("podTemplateHash=5a",), "split": "node", "size": 1}, "know 0 values of that label"),
    ],
)
def test_what_can_not_be_replayed_is_told(tmp_path: Path, template: Path, wish: dict[str, Any], words: str) -> None:
    data = recorded(tmp_path, {"stable": {"s": 0.01}}, looks=5)
    with pytest.raises(Told) as told:
        backtest(Wish(template, data=data, **wish), None, None, None)
    assert words in str(told.value)


def test_a_static_bound_beside_it_is_replayed_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = recorded(tmp_path, {"canary": {"c": 0.05}, "stable": {"s": 0.05}})
    bound = {"failureCondition": "result.canary.rate > 0.02", "failureLimit": 2}
    path = written(tmp_path, [compared(**bound)])
    backtest(Wish(path, data=data, canary=CANARY, stable=STABLE), None, None, None)
    _, verdict, after, unit, looks, *words = capsys.readouterr().out.splitlines()[1].split()
    assert (verdict, after, unit, looks) == ("bound", "90", "s", "3")
    assert " ".join(words).startswith("the failureCondition held in 3 looks; canary fails")


def test_metrics_of_a_score_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = recorded(tmp_path, {"canary": {"c": 0.06}, "stable": {"s": 0.01}})
    both = json.loads(data.read_text())
    data.write_text(json.dumps({**both, "again": both["errors"]}))
    judge = {"score": {"critical": ["again"]}}
    path = written(tmp_path, [compared(), compared("again")], judge=judge)
    backtest(Wish(path, data=data, canary=CANARY, stable=STABLE), None, None, None)
    assert capsys.readouterr().out.splitlines()[-1].startswith("together: worse; score 0: again is critical")
    backtest(Wish(path, data=data, canary=CANARY, stable=STABLE), None, None, Output.json)
    assert json.loads(capsys.readouterr().out)["score"]["verdict"] == "worse"


def gauges(tmp_path: Path, canary: float, stable: float, looks: int) -> Path:
    """Three pods of each version."""
    chance, answers = random.Random(5), []
    for number in range(looks):
        answer: list[Any] = [[{"tidegate_arm": "stable", "tidegate_part": "known"}, 3]]
        for arm, mean in (("canary", canary), ("stable", stable)):
            for pod in "abc":
                labels = {"tidegate_arm": arm, "tidegate_part": "gauge", "pod": arm + pod}
                answer.append([labels, chance.gauss(mean, 0.1)])
        start = BEGIN + timedelta(seconds=30 * number)
        end = start + timedelta(seconds=30)
        answers.append({"start": format_time(start), "end": format_time(end), "answer": answer})
    path = tmp_path / "gauges.json"
    path.write_text(json.dumps({"cpu": answers}))
    return path


def test_mann_whitney_is_replayed_once_and_promises_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    selector = 'cpu{hash="{{arm.podTemplateHash}}"}'
    metric = compared("cpu", {"samples": {"gauge": selector, "mode": "mannWhitney"}}, count=12)
    path = written(tmp_path, [metric])
    # So many looks make sure of a difference of 3 %, and 12 don't.
    data = gauges(tmp_path, 1.03, 1.0, 200)
    backtest(Wish(path, data=data, canary=CANARY, stable=STABLE), None, None, None)
    metric_, verdict, _, _, looks, *_ = capsys.readouterr().out.splitlines()[1].split()
    assert (metric_, verdict, looks) == ("cpu", "safe", "12")
    backtest(Wish(path, data=data, stable=STABLE, split="pod"), None, None, None)
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "nothing"


@pytest.mark.parametrize(
    ("size", "told"),
    [({"criticalIncrease": 3}, "together: safe; score 80 "), ({}, "together: worse; score 0: cpu is critical")],
)
def test_a_critical_effect_is_replayed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: dict[str, Any], told: str
) -> None:
    samples = {"gauge": 'cpu{hash="{{arm.podTemplateHash}}"}', "mode": "mannWhitney"}
    alike = [compared(name, {"samples": samples}, count=12) for name in "abcd"]
    cpu = compared("cpu", {"samples": {**samples, "effectSize": size}}, count=12)
    path = written(tmp_path, [cpu, *alike], judge={"score": {"pass": 80, "critical": ["cpu"]}})
    equal = json.loads(gauges(tmp_path, 1.0, 1.0, 12).read_text())["cpu"]
    data = gauges(tmp_path, 2.0, 1.0, 12)
    data.write_text(json.dumps({**json.loads(data.read_text()), **dict.fromkeys("abcd", equal)}))
    backtest(Wish(path, data=data, canary=CANARY, stable=STABLE), None, None, None)
    assert capsys.readouterr().out.splitlines()[-1].startswith(told)


def test_a_metric_over_its_bound_counts_against_the_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = recorded(tmp_path, {"canary": {"c": 0.05}, "stable": {"s": 0.05}})
    bound = {"failureCondition": "result.canary.rate > 0.02", "failureLimit": 2}
    path = written(tmp_path, [compared(**bound)], judge={"score": {}})
    backtest(Wish(path, data=data, canary=CANARY, stable=STABLE), None, None, None)
    assert capsys.readouterr().out.splitlines()[-1].startswith("together: worse; score 0 ")


def test_windows_before_prometheus_knew_stable_are_passed_over(
    tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = recorded(tmp_path, {"canary": {"c": 0.01}, "stable": {"s": 0.01}}, looks=6)
    looks = json.loads(data.read_text())
    looks["errors"][0]["answer"].pop(0)
    data.write_text(json.dumps(looks))
    backtest(Wish(template, data=data, canary=CANARY, stable=STABLE), None, None, None)
    row = capsys.readouterr().out.splitlines()[1]
    assert "of 800 requests" in row, "of six looks one is passed over, and one has no answer"


def test_a_range_without_an_answer_says_why(tmp_path: Path, template: Path) -> None:
    data = recorded(tmp_path, {"stable": {"s": 0.01}}, looks=5)
    looks = json.loads(data.read_text())
    data.write_text(json.dumps({"errors": [{**look, "answer": "no such host"} for look in looks["errors"]]}))
    wish = Wish(template, data=data, canary=CANARY, stable=STABLE)
    with pytest.raises(Told, match="errors has no answer to any of its 5 looks; the first of them: no such host"):
        backtest(wish, None, None, None)
    data.write_text(json.dumps({"latency": looks["errors"]}))
    with pytest.raises(Told, match="nothing is recorded of metric errors; there are latency"):
        backtest(wish, None, None, None)


def test_a_range_is_cut_into_looks() -> None:
    found = windows(Wish(Path(), start="10m", end="2026-05-01T10:00:00Z"), timedelta(seconds=30), BEGIN)
    assert len(found) == 20 and found[-1].end == BEGIN
    assert all(one.end == other.start for one, other in pairwise(found))
    with pytest.raises(Told, match="there are 0 looks"):
        windows(Wish(Path(), start="1s"), timedelta(seconds=30), BEGIN)
