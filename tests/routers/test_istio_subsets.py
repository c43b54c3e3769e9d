"""Pointing subsets at revisions: one label of two subsets, and nothing else of the DestinationRule."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.patches import PatchFailed, json_patch
from tests.routers.samples import (
    BY_SUBSET,
    DR,
    VS,
    Obj,
    apply,
    bind,
    destination_rule,
    extras,
    http,
    strategy,
    virtual_service,
    words,
)
from tidegate.api import names
from tidegate.core.plan import Key, Write
from tidegate.core.traffic import Selected, Traffic

HASH = names.POD_TEMPLATE_HASH
OURS = {names.MANAGED_BY: "web"}


def bound(rule: Obj) -> Traffic:
    return bind(strategy(subsets=True), {VS: virtual_service(http(*BY_SUBSET)), DR: rule})


def point(rule: Obj, canary: str, stable: str) -> tuple[Write, ...]:
    return bound(rule).point(canary_hash=canary, stable_hash=stable)


hashes = st.sampled_from(["", "5f6b7c", "99d4ff"])


@st.composite
def rules(draw: st.DrawFn) -> Obj:
    """A DestinationRule with our two subsets among others, each with and without labels and policies."""

    def subset(name: str) -> Obj:
        labels = draw(st.none() | st.dictionaries(st.sampled_from(["app", "zone", HASH]), words, max_size=3))
        return {"name": name} | draw(extras) | ({} if labels is None else {"labels": labels})

    others = draw(st.lists(st.sampled_from(["eu", "us", "beta"]), max_size=3, unique=True))
    subsets = [subset(name) for name in draw(st.permutations(["canary", "stable", *others]))]
    rule = destination_rule(*subsets, annotations=draw(st.none() | st.dictionaries(words, words, max_size=2)))
    rule["spec"] |= {"trafficPolicy": draw(extras)}
    return rule


@given(rules(), hashes, hashes)
def test_subsets_select_what_was_asked_and_nothing_else_changes(rule: Obj, canary: str, stable: str) -> None:
    """Design, "what always holds" 4; Argo Rollouts drops all other subsets here."""
    after = apply(rule, *point(rule, canary, stable))

    assert bound(after).selected() == Selected(canary, stable, Key("Service", "shop", "web"))
    assert point(after, canary, stable) == ()
    assert after["metadata"]["annotations"] == (rule["metadata"].get("annotations") or {}) | OURS
    assert _foreign(after) == _foreign(rule)


@given(rules(), hashes, st.sampled_from(["shift", "labels", "unlabel", "rename"]))
def test_a_foreign_edit_between_read_and_write_is_kept_or_stops_the_patch(rule: Obj, canary: str, edit: str) -> None:
    edited = copy.deepcopy(rule)
    edited["metadata"]["resourceVersion"] = "8"
    subsets = edited["spec"]["subsets"]
    match edit:
        case "shift":
            subsets.insert(0, {"name": "new", "labels": {HASH: "theirs"}})
        case "labels":
            for subset in subsets:
                subset.setdefault("labels", {})["theirs"] = "kept"
        case "unlabel":
            for subset in subsets:
                subset.pop("labels", None)
        case "rename":
            subsets[0]["name"] = "renamed"
    try:
        after = edited
        for write in point(rule, canary, "5f6b7c"):
            if write.patch == "json":
                after = json_patch(after, write.body)
    except PatchFailed:
        return

    assert _foreign(after) == _foreign(edited)


def _foreign(rule: Obj) -> Obj:
    """The spec without the one label of each of our subsets."""
    spec = copy.deepcopy(rule["spec"])
    for subset in spec["subsets"]:
        if subset["name"] in ("canary", "stable"):
            labels = subset.pop("labels", {})
            subset["others"] = {key: value for key, value in labels.items() if key != HASH}
    return spec


def test_annotations_that_were_not_read_survive() -> None:
    """The store keeps no last-applied annotation; a rule read without any may have that one on the server."""
    read = destination_rule({"name": "canary"}, {"name": "stable"})
    stored = copy.deepcopy(read)
    stored["metadata"]["annotations"] = {names.LAST_APPLIED: "{}"}

    after = apply(stored, *point(read, "a", "b"))

    assert after["metadata"]["annotations"] == {names.LAST_APPLIED: "{}"} | OURS


def test_two_rollouts_that_share_a_rule_do_not_take_turns_at_the_annotation() -> None:
    labels = ({"name": "canary", "labels": {HASH: "a"}}, {"name": "stable", "labels": {HASH: "b"}})
    rule = destination_rule(*labels, annotations={names.MANAGED_BY: "api"})

    assert point(rule, "a", "b") == ()
    assert apply(rule, *point(rule, "c", "b"))["metadata"]["annotations"] == OURS


def test_one_request_points_both_subsets() -> None:
    """Between two requests, half of the users would meet the old pairing."""
    rule = destination_rule({"name": "canary", "labels": {}}, {"name": "stable", "labels": {}}, annotations=OURS)

    assert len(point(rule, "a", "b")) == 1


def test_removing_a_hash_that_somebody_changed_meanwhile_fails() -> None:
    labels = ({"name": "canary", "labels": {HASH: "a"}}, {"name": "stable", "labels": {HASH: "b"}})
    (write,) = point(destination_rule(*labels, annotations=OURS), "", "b")
    meanwhile = destination_rule({"name": "canary", "labels": {HASH: "theirs"}}, labels[1])

    with pytest.raises(PatchFailed):
        json_patch(meanwhile, write.body)


def test_a_split_by_services_has_no_subsets() -> None:
    traffic = bind(strategy(), {VS: virtual_service()})

    assert traffic.selected() is None
    assert traffic.point(canary_hash="a", stable_hash="b") == ()
