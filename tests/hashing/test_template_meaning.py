"""Templates mean the same exactly if the API server, given both, would keep the same object.

A default forgotten here restarts pods at a take-over; a difference overlooked leaves an old version running.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.hashing.oracle import Oracle
from tests.hashing.shapes import anything, each_alone, words
from tidegate.core.hashing import HASH_LABEL, MalformedError, templates_equal

generated = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def test_each_field_alone_counts_as_it_does_for_the_api_server_and_survives_storing(oracle: Oracle) -> None:
    templates = list(each_alone("PodTemplateSpec"))
    answers = oracle.all({"equal": [template, _without_leaf(template)]} for template in templates)
    verdicts, different = set(), []
    for template, answer in zip(templates, answers, strict=True):
        if answer.mistaken:
            continue
        verdicts.add(answer.equal)
        if templates_equal(template, _without_leaf(template)) is not answer.equal:
            different.append(template)
        if not templates_equal(template, answer.stored):
            different.append((template, answer.stored))
    assert not different, different[:5]
    assert verdicts == {True, False}


@generated
@given(a=anything("PodTemplateSpec"), b=anything("PodTemplateSpec"))
def test_any_two_templates_are_equal_if_the_api_server_finds_them_so(oracle: Oracle, a: Any, b: Any) -> None:
    answer = oracle.equal(a, b)
    if answer.mistaken:
        with pytest.raises(MalformedError):
            templates_equal(a, b)
    else:
        assert templates_equal(a, b) is templates_equal(b, a) is answer.equal
        assert templates_equal(a, answer.stored)


@pytest.mark.parametrize(
    "image",
    [
        *words("nginx nginx:latest nginx:1.27 shop/app example.com/app example.com:5000/app localhost/app:latest"),
        *words("localhost:5000/a/b:v1 Shop/app shop/App APP a__b a_b a___b a--b a.-b -a a/ /a a//b"),
        *words("a:b:c [::1]:5000/app"),
        *["app@sha256:" + "0" * 64, "app:latest@sha256:" + "0" * 64, "app:latest@sha256:" + "0" * 63, "0" * 64],
        *["app@sha512:" + "a" * 128, "app@md5:" + "a" * 32, "app:" + "t" * 128, "app:" + "t" * 129, "app:-x", "", "é"],
    ],
)
def test_the_pull_policy_follows_from_the_image_as_on_the_api_server(oracle: Oracle, image: str) -> None:
    for policy in ("Always", "IfNotPresent"):
        implied = {"spec": {"containers": [{"image": image}]}}
        stated = {"spec": {"containers": [{"image": image, "imagePullPolicy": policy}]}}
        assert templates_equal(implied, stated) is oracle.equal(implied, stated).equal


def test_the_hash_label_does_not_count_but_its_neighbours_do() -> None:
    plain = {"metadata": {"labels": {"app": "shop"}}}
    labelled = {"metadata": {"labels": {"app": "shop", HASH_LABEL: "abc"}}}
    assert templates_equal(plain, labelled)
    assert templates_equal({}, {"metadata": {"labels": {HASH_LABEL: "abc"}}})
    assert not templates_equal(plain, {"metadata": {"labels": {"app": "shop2", HASH_LABEL: "abc"}}})


def test_comparing_changes_neither_template() -> None:
    template = {"metadata": {"labels": {HASH_LABEL: "abc"}}, "spec": {"containers": [{"ports": [{}]}], "volumes": [{}]}}
    before = repr(template)
    templates_equal(template, template)
    assert repr(template) == before


def _without_leaf(value: Any) -> Any:
    """The same with its innermost value gone: what an unset field would be."""
    if isinstance(value, dict) and value:
        (name, inner), *_ = value.items()
        return {name: _without_leaf(inner)} if isinstance(inner, dict | list) and inner else {}
    if isinstance(value, list) and value:
        return [_without_leaf(value[0])] if isinstance(value[0], dict | list) and value[0] else [{}]
    return value
