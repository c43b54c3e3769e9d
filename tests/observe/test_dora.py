"""The four figures, as metrics, as a table and as a trace, from statuses alone."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from tests.rollout.objects import ANALYSIS, canary
from tests.rollout.stage import Stage, Verdict, deployed
from tidegate.cli import dora as verb
from tidegate.cli.dora import as_data, as_table
from tidegate.cli.main import app
from tidegate.cli.words import Where
from tidegate.core.times import format_time
from tidegate.observe.dora import figures
from tidegate.observe.exposition import pieces
from tidegate.observe.releases import release_families
from tidegate.observe.spans import Span, release_spans
from tidegate.observe.tracing import otlp_exporter

Obj = dict[str, Any]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def record(outcome: str, days_ago: float, **more: float) -> Obj:
    """An update that ended then. more: fields and how many seconds they lie before (+) or after (-) the end."""
    end = NOW - timedelta(days=days_ago)
    times = {name: format_time(end - timedelta(seconds=seconds)) for name, seconds in more.items()}
    start = {"startedAt": format_time(end - timedelta(seconds=60)), "finishedAt": format_time(end)}
    return {"revision": 1, "podHash": "h", "outcome": outcome, **start, **times}


def rollout(name: str, *records: Obj, team: str = "", before: int = 0) -> Obj:
    counts: dict[str, int] = {}
    for one in records:
        counts[one["outcome"]] = counts.get(one["outcome"], 0) + 1
    outcomes = [{"outcome": o, "count": n, "seconds": 60 * n} for o, n in counts.items()]
    if before:
        outcomes.append({"outcome": "Superseded", "count": before, "seconds": 9})
    labels = {"labels": {"team": team}} if team else {}
    status = {"releases": {"totals": {"outcomes": outcomes}, "recent": list(records)}} if records else {}
    return {"metadata": {"name": name, "namespace": "prod", "uid": name, **labels}, "spec": {}, "status": status}


SHOP = rollout(
    "shop",
    record("Promoted", 40, changedAt=999_999),
    record("Promoted", 20, changedAt=3600),
    record("Aborted", 15, badAt=30, restoredAt=-10),
    record("Promoted", 10, changedAt=7200),
    record("RolledBack", 9),
    record("FastRolledBack", 5, restoredAt=-20),
    record("FastPromoted", 1),
    team="red",
)
CART = rollout("cart", record("Promoted", 3, changedAt=600), team="red", before=4)


def test_figures_of_a_workload_are_of_the_days_asked_for() -> None:
    (shop,) = figures([SHOP], NOW, timedelta(days=30), team_label="team")
    assert (shop.deployments, shop.changes, shop.failures) == (3, 5, 3)
    assert shop.failure_rate == 60
    assert shop.lead == 5400
    assert shop.recovery == 30, "the median of 40 s from the bad measurement and 20 s from the abort"
    assert shop.per_day == pytest.approx(0.1)


def test_figures_of_a_busy_workload_are_of_the_days_that_are_known() -> None:
    (cart,) = figures([CART], NOW, timedelta(days=30), team_label="team")
    assert cart.since == NOW - timedelta(days=3)
    assert cart.per_day == pytest.approx(1 / 3)


def test_figures_of_a_team_are_of_all_its_workloads() -> None:
    red, nobody = sorted(
        figures([SHOP, CART, rollout("lone")], NOW, timedelta(days=30), team_label="team", by_team=True),
        key=lambda row: row.team,
        reverse=True,
    )
    assert (red.team, red.deployments, red.changes) == ("red", 4, 6)
    assert red.per_day == pytest.approx(0.1 + 1 / 3)
    assert (nobody.deployments, nobody.failure_rate, nobody.lead) == (0, None, None)


def test_the_table_and_data_say_the_same() -> None:
    rows = figures([CART, SHOP, rollout("lone")], NOW, timedelta(days=30), team_label="team")
    head, (cart, lone, shop) = as_table(rows, by_team=False)
    assert head[:3] == ("NAMESPACE", "NAME", "TEAM")
    assert shop == ("prod", "shop", "red", "3", "0.10", "1h30m", "60% (3/5)", "30s", "2026-05-02 00:00")
    assert lone[2:6] == ("-", "0", "0.00", "-")
    assert cart[4:6] == ("0.33", "10m")
    assert [as_data(row)["failure_rate"] for row in rows] == [0, None, 60]


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["--since", "0d"], ["-o", "wide"]])
def test_what_means_nothing_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["dora", *arguments]).exit_code != 0


def test_the_command_reads_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def visit(where: Where, work: object) -> list[Obj]:
        assert (where.namespace, where.all_namespaces) == ("prod", False)
        return [SHOP]

    monkeypatch.setattr(verb, "visit", visit)
    done = CliRunner().invoke(app, ["dora", "-n", "prod", "--by-team", "--since", "520w", "-o", "json"])
    assert done.exit_code == 0
    (row,) = json.loads(done.output)["items"]
    assert (row["team"], row["deployments"]) == ("red", 4)


# -- as metrics


def metrics(*rollouts: Obj) -> dict[tuple[str, str], float]:
    page = "".join(pieces(release_families(lambda: rollouts, "team")))
    return {
        (
            sample.name,
            " ".join(v for k, v in sorted(sample.labels.items()) if k not in ("namespace", "team")),
        ): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_metrics_are_the_statuses_totals_so_no_restart_resets_them() -> None:
    stage = Stage(verdicts={"Background": [Verdict("Failed", after=15.0), Verdict("Successful")]})
    deployed(canary({"setWeight": 50}, {"pause": {"duration": 30}}, analysis=ANALYSIS), stage=stage)
    for image in ("v2", "v3"):
        stage.image(image)
        stage.play(200)
    found = metrics(stage.rollout)
    assert found["tidegate_releases_total", "app Promoted"] == 2
    assert found["tidegate_releases_total", "app Aborted"] == 1
    assert found["tidegate_dora_deployments_total", "app"] == 2
    assert found["tidegate_dora_changes_total", "app"] == 3
    assert found["tidegate_dora_change_failures_total", "app"] == 1
    assert found["tidegate_dora_recovery_seconds_count", "app"] == 1
    assert found["tidegate_release_duration_seconds_count", "app Promoted"] == 2
    assert 30 <= found["tidegate_release_duration_seconds_sum", "app Promoted"] <= 60


def test_a_status_that_somebody_spoilt_leaves_the_others_metrics_alone() -> None:
    bad = rollout("bad")
    bad["status"] = {"releases": {"totals": {"outcomes": ["x", {"outcome": 3}, {"count": "y"}]}}}
    assert metrics(bad, CART)["tidegate_releases_total", "cart Promoted"] == 1


# -- as a trace


def traced() -> tuple[Obj, list[Obj]]:
    stage = Stage(verdicts={"Background": [Verdict("Failed", after=25.0)]})
    steps = ({"setWeight": 20}, {"pause": {"duration": 10}}, {"setWeight": 60}, {"pause": {}})
    deployed(canary(*steps, analysis=ANALYSIS), stage=stage)
    stage.image("v2")
    stage.play(300)
    runs = [dict(obj) for key, obj in stage.objects.items() if key.kind == "AnalysisRun"]
    start = stage.status["releases"]["recent"][-1]["startedAt"]
    return stage.rollout, [{**run, "status": {**run["status"], "startedAt": start}} for run in runs]


def test_a_trace_tells_steps_pauses_and_analyses_at_the_statuses_times() -> None:
    obj, runs = traced()
    release, *below = release_spans(obj, runs, "team")
    assert release.attributes["tidegate.outcome"] == "Aborted"
    assert "RolloutAborted" in release.problem
    steps = [span for span in below if span.name.startswith("step")]
    assert [span.name for span in steps] == [
        "step 1: setWeight 20",
        "step 2: pause 10",
        "step 3: setWeight 60",
        "step 4: pause until promoted",
    ]
    assert [a.end for a in steps[:-1]] == [b.start for b in steps[1:]], "one after the other, without a gap"
    assert (steps[0].start, steps[-1].end) == (release.start, release.end)
    (analysis,) = (span for span in below if span.name.startswith("analysis"))
    assert analysis.problem
    assert all(span.parent == release.id and span.trace == release.trace for span in below)


def test_a_trace_that_is_made_again_is_the_same_and_another_revisions_is_another() -> None:
    obj, runs = traced()
    assert release_spans(obj, runs, "team") == release_spans(obj, runs, "team")
    later = json.loads(json.dumps(obj, default=dict))
    later["status"]["releases"]["recent"][-1]["revision"] += 1
    assert release_spans(later, runs, "team")[0].trace != release_spans(obj, runs, "team")[0].trace


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_exporter_speaks_otlp_and_a_dead_endpoint_is_told_as_false() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    got: list[ExportTraceServiceRequest] = []

    async def take(request: web.Request) -> web.Response:
        got.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/traces", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    spans: list[Span] = release_spans(*traced(), "team")
    export = otlp_exporter(f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces")
    try:
        assert await asyncio.to_thread(export, spans)
    finally:
        await runner.cleanup()
    (scope,) = got[0].resource_spans[0].scope_spans
    assert [span.name for span in scope.spans] == [span.name for span in spans]
    assert scope.spans[0].trace_id == spans[0].trace.to_bytes(16, "big")
    assert scope.spans[0].start_time_unix_nano == int(spans[0].start.timestamp()) * 10**9
