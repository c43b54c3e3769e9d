"""What a random walk doesn't reach: rules, scopes, whether a kind is synced, a server from a backup."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.scripted import service
from tidegate.cluster.frozen import freeze
from tidegate.cluster.rules import KindRules, differs
from tidegate.cluster.store import Change, Store
from tidegate.core.plan import Key

A = Key("Service", "web", "a")
B = Key("Service", "web", "b")


@pytest.mark.parametrize(
    ("changes", "matters"),
    [
        ({}, False),
        ({"spec": {"port": 2}}, True),
        ({"status": {}}, True),
        ({"metadata": {"labels": {"x": "y"}}}, True),
        ({"metadata": {"resourceVersion": "9"}}, False),
        ({"metadata": {"uid": "another"}}, True),
    ],
)
def test_a_change_matters_unless_it_is_the_resource_version_alone(changes: dict[str, Any], matters: bool) -> None:
    old = service("a", 1, port=1)
    new = {**old, **changes, "metadata": {**old["metadata"], **changes.get("metadata", {})}}

    assert differs(old, new) is matters
    assert differs(new, old) is matters


def test_what_nobody_needs_is_not_kept() -> None:
    store = Store({"Service": KindRules(project=lambda obj: {k: obj[k] for k in ("kind", "metadata")})})
    bulky = service("a", 1, port=1)
    bulky["metadata"] |= {
        "managedFields": [{"manager": "kubectl"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "pay"},
    }
    only_bulk = service("b", 2)
    only_bulk["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}

    store.replace("Service", [bulky, only_bulk], "2")

    kept = store.get(A)
    assert kept is not None
    assert kept.keys() == {"kind", "metadata"}
    assert kept["metadata"]["annotations"] == {"team": "pay"}
    assert "managedFields" not in kept["metadata"]
    assert "annotations" not in (store.get(B) or {})["metadata"]


def test_a_rule_silences_immaterial_changes_but_the_newest_object_is_kept() -> None:
    woken: list[object] = []
    port_only = KindRules(significant=lambda old, new: old["spec"] != new["spec"])
    store = Store({"Service": port_only}, on_wake=woken.append)
    store.replace("Service", [service("a", 1, port=1)], "1")
    view = store.view("reader")
    view.get(A)
    view.commit()

    heartbeat = service("a", 2, port=1)
    heartbeat["metadata"]["labels"] = {"beat": "2"}
    store.apply("Service", "MODIFIED", heartbeat)

    assert woken == []
    assert (store.get(A) or {})["metadata"]["resourceVersion"] == "2"

    another = service("a", 3, port=1)
    another["metadata"]["uid"] = "uid-of-another"
    store.apply("Service", "MODIFIED", another)
    assert woken == ["reader"], "an object that was replaced by one of the same name is news by any rule"


def test_resource_versions_are_numbers_not_texts() -> None:
    store = Store()
    store.replace("Service", [service("a", 9)], "9")

    store.apply("Service", "MODIFIED", service("a", 10, port=1))

    assert (store.get(A) or {})["metadata"]["resourceVersion"] == "10"


def test_listeners_hear_of_appearance_change_and_end_and_whether_it_came_with_a_list() -> None:
    store = Store()
    heard: list[Change] = []
    store.on_change("Service", heard.append)
    first, second = service("a", 1), service("a", 3, port=1)

    store.replace("Service", [first], "2")
    store.apply("Service", "MODIFIED", second)
    store.apply("Service", "MODIFIED", service("a", 4, port=1))
    store.apply("Service", "DELETED", service("a", 5, port=1))

    shape = [(change.key, change.old and 1, change.new and 1, change.listed) for change in heard]
    assert shape == [(A, None, 1, True), (A, 1, 1, False), (A, 1, None, False)]


def test_a_reader_is_woken_once_by_a_change_that_it_depends_on_in_three_ways() -> None:
    woken: list[object] = []
    store = Store(on_wake=woken.append)
    view = store.view("reader")
    view.get(A)
    view.listed("Service", "web")
    view.owned("Service", "", "web")
    view.commit()

    store.replace("Service", [service("a", 1)], "1")

    assert woken == ["reader"]


def test_a_namespace_that_is_listed_anew_leaves_the_others_alone() -> None:
    store = Store()
    store.expect("Service", "web")
    store.expect("Service", "shop")
    store.replace("Service", [service("a", 1)], "1", scope="web")
    assert not store.synced("Service"), "one namespace is still missing"
    store.replace("Service", [service("b", 2, namespace="shop")], "2", scope="shop")
    assert store.synced("Service")

    store.replace("Service", [], "3", scope="web")

    assert store.keys("Service") == [Key("Service", "shop", "b")]


def test_a_kind_that_nobody_follows_is_neither_synced_nor_taken_from_answers() -> None:
    store = Store()
    store.expect("Service", "web")

    store.absorb(service("a", 1, namespace="shop"))
    store.absorb({**service("a", 1), "kind": "Event"})

    assert store.keys("Service") == []
    assert store.keys("Event") == []
    assert not store.synced("Event")
    assert not store.synced("Service", "Event")


def test_a_kind_that_is_not_served_is_empty_and_synced() -> None:
    woken: list[object] = []
    store = Store(on_wake=woken.append)
    store.replace("Service", [service("a", 1)], "1")
    view = store.view("reader")
    view.get(A)
    view.commit()

    store.empty("Service")

    assert store.keys("Service") == []
    assert store.synced("Service")
    assert woken == ["reader"]


def test_a_version_that_an_answer_has_brought_is_known_once_and_by_its_kind_alone() -> None:
    store = Store()
    store.replace("Service", [service("a", 3)], "3")
    store.absorb(service("a", 4))
    store.absorb({**service("b", 5), "kind": "Pod"})  # nobody follows this kind

    assert not store.has_absorbed("Pod", "5") and not store.has_absorbed("ReplicaSet", "4")
    assert [store.has_absorbed("Service", "4") for _ in range(2)] == [True, False], "the watch tells it once"
    store.apply("Service", "MODIFIED", service("a", 6))
    store.absorb(service("a", 6))
    assert not store.has_absorbed("Service", "6"), "the watch was first, and does not tell it again"


def test_versions_that_no_watch_ever_tells_are_forgotten_in_the_end() -> None:
    store = Store()
    store.replace("Service", [], "1")
    for version in range(2, 3000):
        store.absorb(service("a", version))
    assert not store.has_absorbed("Service", "2") and store.has_absorbed("Service", "2999")


def test_after_a_restored_backup_no_version_is_known_any_more() -> None:
    """Another object has it then, of which the watch tells nothing but this."""
    store = Store()
    store.replace("Service", [service("a", 8)], "8")
    store.absorb(service("a", 9))
    store.replace("Service", [service("a", 2)], "2")
    assert not store.has_absorbed("Service", "9")


def test_a_server_restored_from_a_backup_is_believed() -> None:
    """Its versions start again below those that we know; kept to the rule, we would ignore them for ever."""
    store = Store()
    store.replace("Service", [service("a", 100, port=1), service("b", 101)], "110")
    store.apply("Service", "BOOKMARK", {"metadata": {"resourceVersion": "120"}})

    store.replace("Service", [service("a", 40, port=2)], "50")

    assert store.keys("Service") == [A]
    assert (store.get(A) or {})["spec"] == {"port": 2}
    store.apply("Service", "MODIFIED", service("a", 51, port=3))
    assert (store.get(A) or {})["spec"] == {"port": 3}


def test_an_object_that_is_listed_after_a_drop_is_there_again() -> None:
    """Dropping may be wrong (a proxy's 404); the next list sets it right, and later events count again."""
    store = Store()
    store.replace("Service", [service("a", 1)], "1")
    store.drop(A)

    store.replace("Service", [service("a", 1)], "2")
    store.apply("Service", "MODIFIED", service("a", 3, port=1))

    assert (store.get(A) or {})["spec"] == {"port": 1}


def test_a_drop_names_which_object_of_that_name_it_means() -> None:
    store = Store()
    store.replace("Service", [service("a", 1)], "1")

    store.drop(A, "uid-of-an-older-one")
    assert store.get(A) is not None

    store.drop(A, "uid-a")
    assert store.get(A) is None


@pytest.mark.parametrize(
    "broken",
    [{}, {"metadata": {}}, {"metadata": {"name": "a", "uid": "u", "resourceVersion": "soon"}}],
)
def test_an_object_without_identity_is_refused(broken: dict[str, Any]) -> None:
    store = Store()
    with pytest.raises((KeyError, ValueError)):
        store.apply("Service", "ADDED", broken)
    assert store.keys("Service") == []


def test_frozen_objects_refuse_every_way_to_change_them() -> None:
    frozen = freeze({"list": [{"deep": 1}], "number": 1})

    for change in (
        lambda: frozen.update(a=1),
        lambda: frozen.pop("number"),
        lambda: frozen["list"].append(1),
        lambda: frozen["list"].extend([1]),
        lambda: frozen["list"][0].setdefault("more", 1),
        lambda: frozen["list"].__setitem__(0, 1),
        lambda: frozen.__delitem__("list"),
    ):
        with pytest.raises(TypeError, match="must not be changed"):
            change()
    assert frozen == {"list": [{"deep": 1}], "number": 1}
