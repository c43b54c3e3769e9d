"""Whatever is broken in an object, reading it never raises, and a spec comes back exactly if nothing is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.objects import BLUE_GREEN, CANARY, RUN, TEMPLATE, Json
from tidegate.api.parsing import parse_rollout, parse_run, parse_run_status, parse_template

Parse = Callable[[Any], tuple[Any, Any]]

STATUS: Json = {
    "status": {
        "phase": "Running",
        "runSummary": {"count": 1},
        "metricResults": [
            {"name": "a", "count": 1, "metadata": {"a": "b"}, "measurements": [{"phase": "Failed", "value": "1"}]}
        ],
    }
}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["{{args.x}}", "0", "-1", "100%", "1h", "\ud800"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value below an object's root."""
    if isinstance(value, dict):
        pairs: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    else:
        return []
    found = []
    for key, inner in pairs:
        found += [(*path, key), *nodes(inner, (*path, key))]
    return found


@pytest.mark.parametrize(
    ("parse", "valid"),
    [
        (parse_rollout, CANARY),
        (parse_rollout, BLUE_GREEN),
        (parse_template, TEMPLATE),
        (parse_run, RUN),
        (parse_run_status, STATUS),
    ],
)
@settings(max_examples=200)
@given(data=st.data())
def test_given_random_nodes_deleted_replaced_or_added_then_there_is_a_spec_or_a_problem(
    parse: Parse, valid: Json, data: st.DataObject
) -> None:
    spoilt: Json = json.loads(json.dumps(valid))
    for _ in range(data.draw(st.integers(1, 3), label="changes")):
        places = nodes(spoilt)
        if not places:
            break
        *outer, last = data.draw(st.sampled_from(places), label="place")
        node: Any = spoilt
        for part in outer:
            node = node[part]
        match data.draw(st.sampled_from(["delete", "replace", "add"]), label="change"):
            case "delete":
                del node[last]
            case "replace":
                node[last] = data.draw(JSON, label="value")
            case _ if isinstance(node, dict):
                node[data.draw(st.text(max_size=8), label="key")] = data.draw(JSON, label="value")
            case _:
                node.append(data.draw(JSON, label="value"))
    spec, problems = parse(spoilt)
    assert (spec is None) == bool(problems)
    assert all(problem.path and problem.message for problem in problems)


def test_given_an_object_of_great_depth_then_it_is_refused_and_nothing_raises() -> None:
    deep: Any = {}
    for _ in range(3000):
        deep = {"a": deep}
    for place in ("unknown", "rollbackWindow", "analysis", "selector"):
        raw = {"spec": {**CANARY["spec"], place: deep}}
        assert {problem.path.split(".")[1] for problem in parse_rollout(raw)[1]} == {place}
