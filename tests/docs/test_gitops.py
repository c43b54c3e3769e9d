"""The example repository for Argo CD: it ignores what the page explains, and Kustomize makes of it what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from lab.paths import REPOSITORY
from lab.toolchain import kubectl
from tests.docs.pages import blocks
from tidegate.api.parsing import parse_rollout

FOLDER = REPOSITORY / "examples" / "gitops"


def application() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "argocd" / "shop.yaml").read_text())
    return found


def test_the_application_ignores_what_the_page_says() -> None:
    explained = next(block.text for block in blocks("docs/argo-cd.md") if "ignoreDifferences" in block.text)
    told, spec = yaml.safe_load(explained)["spec"], application()["spec"]
    assert spec["ignoreDifferences"] == told["ignoreDifferences"]
    assert set(told["syncPolicy"]["syncOptions"]) <= set(spec["syncPolicy"]["syncOptions"])


def test_its_path_is_there_and_a_new_tag_reaches_the_rollout(tmp_path: Path) -> None:
    source = FOLDER / application()["spec"]["source"]["path"]
    for path in source.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace("newTag: v1", "newTag: v7"))
    made = subprocess.run([str(kubectl()), "kustomize", str(tmp_path)], capture_output=True, text=True, check=True)
    objects = list(yaml.safe_load_all(made.stdout))
    assert {obj["kind"] for obj in objects} == {"AnalysisTemplate", "Service", "VirtualService", "Rollout"}
    rollout = next(obj for obj in objects if obj["kind"] == "Rollout")
    spec, problems = parse_rollout(rollout)
    assert (spec is not None, problems) == (True, ())
    assert rollout["spec"]["template"]["spec"]["containers"][0]["image"] == "lab.local/app:v7"
    assert "paused" not in rollout["spec"], "Argo CD's action would be undone"
