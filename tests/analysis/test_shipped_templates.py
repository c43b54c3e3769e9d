"""The templates of the chart and of the examples: each can be used by a Rollout, and all of them together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.api.parsing import parse_rollout
from tidegate.api.rollout import RolloutAnalysis
from tidegate.core.analysis.arguments import Source
from tidegate.core.analysis.compare.windows import Window
from tidegate.core.analysis.metrics import read_run
from tidegate.core.analysis.templates import compose
from tidegate.core.rollout.arms import arms
from tidegate.core.times import parse_time

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "charts/tidegate/files/analysis-templates").glob("*.yaml"))
ROLLOUT: dict[str, Any] = yaml.safe_load((ROOT / "tests/api/manifests/canary-istio-hosts.yaml").read_text())
WINDOW = Window(parse_time("2026-05-01T10:00:00Z"), parse_time("2026-05-01T10:00:30Z"))


def used(*templates: dict[str, Any]) -> tuple[dict[str, Any] | None, tuple[Any, ...]]:
    spec, problems = parse_rollout(ROLLOUT)
    assert spec is not None, problems
    known = arms(spec, {"metadata": {"name": "shop", "namespace": "web"}}, canary="6f", stable="5a")
    return compose(templates, RolloutAnalysis(), Source("5a", "6f", ROLLOUT, arms=known))


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_template_asks_for_both_versions_of_a_rollout(path: Path) -> None:
    template = loaded(path)
    assert (template["kind"], template["metadata"]["name"]) == ("ClusterAnalysisTemplate", f"compare-{path.stem}")
    spec, problems = used(template)
    assert spec is not None, problems
    (metric,), problems = read_run({"spec": spec})
    assert metric.comparison is not None, problems
    query = metric.comparison.question(metric.provider, WINDOW)["prometheus"]["query"]
    canary, stable = metric.comparison.selectors["canary"], metric.comparison.selectors["stable"]
    assert "{{" not in query and canary != stable
    assert all(text in query for selectors in (canary, stable) for text in selectors.values())


def test_all_shipped_templates_can_be_used_together() -> None:
    spec, problems = used(*map(loaded, SHIPPED))
    assert problems == () and spec is not None
    assert len(spec["metrics"]) == len(SHIPPED) == 8
