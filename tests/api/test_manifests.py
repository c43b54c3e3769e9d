"""Manifests as people write them are read without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.api.parsing import parse_rollout, parse_run, parse_template

_DOCUMENTS = [
    pytest.param(document, id=f"{document['kind']} {document['metadata']['name']}")
    for path in sorted((Path(__file__).parent / "manifests").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
_READERS: dict[str, Any] = {
    "Rollout": parse_rollout,
    "AnalysisTemplate": parse_template,
    "ClusterAnalysisTemplate": parse_template,
    "AnalysisRun": parse_run,
}


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_given_a_manifest_then_it_is_read_without_a_problem(document: dict[str, Any]) -> None:
    spec, problems = _READERS[document["kind"]](document)
    assert [str(problem) for problem in problems] == []
    assert spec is not None


def test_given_the_manifests_then_every_kind_is_among_them() -> None:
    kinds = {parameter.values[0]["kind"] for parameter in _DOCUMENTS}  # type: ignore[index]
    assert kinds == set(_READERS)
