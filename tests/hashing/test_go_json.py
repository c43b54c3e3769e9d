"""The bytes and hashes are those of Argo Rollouts' own code, for every field that there is.

A field out of order, a wrong omitempty, a quantity spelled otherwise: each would start a new revision of every
rollout that uses it.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hashing.oracle import Answer, Oracle
from tests.hashing.shapes import anything, each_alone, everything
from tidegate.core.hashing import MalformedError, pod_template_hash, step_hash
from tidegate.core.hashing.gojson import BYTES, dump, encoder

REFUSED = "refused"

generated = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def _bytes(kind: str, value: Any) -> str:
    try:
        return dump(encoder(kind, BYTES)(value)).decode()
    except MalformedError:
        return REFUSED


def _expected(answer: Answer) -> str:
    return REFUSED if answer.mistaken else answer.bytes


@pytest.mark.parametrize(("kind", "asked_as"), [("PodTemplateSpec", "template"), ("[]CanaryStep", "steps")])
def test_each_field_alone_is_written_as_go_writes_it(oracle: Oracle, kind: str, asked_as: str) -> None:
    values = list(each_alone(kind))
    assert len(values) > 1000, "the table lost its fields"
    answers = oracle.all({asked_as: value} for value in values)
    different = [
        (value, mine, _expected(answer))
        for value, answer in zip(values, answers, strict=True)
        if (mine := _bytes(kind, value)) != _expected(answer)
    ]
    assert not different, different[:5]


@pytest.mark.parametrize(("kind", "asked_as"), [("PodTemplateSpec", "template"), ("[]CanaryStep", "steps")])
def test_all_fields_together_are_written_in_the_order_of_go(oracle: Oracle, kind: str, asked_as: str) -> None:
    (answer,) = oracle.all([{asked_as: everything(kind)}])
    assert _bytes(kind, everything(kind)) == answer.bytes


@generated
@given(template=anything("PodTemplateSpec"), collisions=st.none() | st.integers(-(2**31), 2**31 - 1))
def test_any_template_has_the_hash_of_argo_rollouts(
    oracle: Oracle, template: dict[str, Any], collisions: int | None
) -> None:
    answer = oracle.template(template, collisions)
    assert _bytes("PodTemplateSpec", template) == _expected(answer)
    if not answer.mistaken:
        assert pod_template_hash(template, collisions) == answer.hash


@generated
@given(steps=st.none() | anything("[]CanaryStep"))
def test_any_steps_have_the_hash_of_argo_rollouts(oracle: Oracle, steps: list[Any] | None) -> None:
    answer = oracle.steps(steps)
    if answer.mistaken:
        with pytest.raises(MalformedError):
            step_hash(steps)
    else:
        assert step_hash(steps) == answer.hash


WRONG = [
    ({"spec": []}, "spec", "is a list, but must be an object"),
    ({"spec": {"containers": {}}}, "spec.containers", "is an object, but must be a list"),
    ({"spec": {"containers": [{}, {"name": 1}]}}, "spec.containers[1].name", "is 1, but must be a string"),
    (
        {"spec": {"containers": [{"ports": [{"containerPort": "80"}]}]}},
        "spec.containers[0].ports[0].containerPort",
        "is '80', but must be a whole number of 32 bits",
    ),
    (
        {"spec": {"containers": [{"ports": [{"containerPort": True}]}]}},
        "spec.containers[0].ports[0].containerPort",
        "is True, but must be a whole number of 32 bits",
    ),
    (
        {"spec": {"terminationGracePeriodSeconds": 2**63}},
        "spec.terminationGracePeriodSeconds",
        "is 9223372036854775808, but must be a whole number of 64 bits",
    ),
    ({"spec": {"hostNetwork": "yes"}}, "spec.hostNetwork", "is 'yes', but must be true or false"),
    ({"metadata": {"labels": {"app": 1.5}}}, "metadata.labels['app']", "is 1.5, but must be a string"),
    ({"metadata": {"labels": ["app"]}}, "metadata.labels", "is a list, but must be an object"),
    (
        {"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}},
        "spec.containers[0].resources.limits['cpu']",
        "'lots' is not a quantity such as 500m, 2 or 1Gi",
    ),
    (
        {"spec": {"overhead": {"cpu": "1i"}}},
        "spec.overhead['cpu']",
        "'1i' ends in 'i', which is not a unit such as m, k, M, G, Ki, Mi, Gi or e3",
    ),
    (
        {"metadata": {"creationTimestamp": "today"}},
        "metadata.creationTimestamp",
        "is 'today', but must be a time such as 2006-01-02T15:04:05Z",
    ),
]


@pytest.mark.parametrize(("template", "path", "message"), WRONG)
def test_a_value_that_go_refuses_is_refused_with_its_path(
    oracle: Oracle, template: dict[str, Any], path: str, message: str
) -> None:
    assert oracle.template(template).mistaken
    with pytest.raises(MalformedError) as raised:
        pod_template_hash(template)
    assert (raised.value.problem.path, raised.value.problem.message) == (path, message)
    assert str(raised.value) == f"{path}: {message}"


@pytest.mark.parametrize("text", ["1e999999999", "1e-999999999", "9" * 25 + "e999999999", "9" * 999])
def test_a_hostile_quantity_costs_no_time(text: str) -> None:
    """Go's slow path would write 10 to the power of a billion out. A hang here fails by its duration."""
    template = {"spec": {"overhead": {"cpu": text}}}
    assert pod_template_hash(template) != pod_template_hash({"spec": {"overhead": {"cpu": "2"}}})


def test_a_text_too_long_for_a_quantity_is_refused() -> None:
    with pytest.raises(MalformedError, match="is not a quantity"):
        pod_template_hash({"spec": {"overhead": {"cpu": "9" * 100_000}}})
