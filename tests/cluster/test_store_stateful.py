"""The store against a model of a server, its watch and the answers to our writes, delivered in any possible
order.

Wrong programs this catches: a reader that is not woken by something it read (an object that appeared, an
owner that changed, a deletion found only by a re-list), one that is woken by what it never read or by an echo
of our own write, an answer that brings back a deleted object, a re-list that deletes or takes back what is
newer than itself.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidegate.cluster.rules import Obj
from tidegate.cluster.store import Relist, Store, View
from tidegate.core.plan import Key

KIND = "ReplicaSet"
NAMESPACES = ("a", "b")
KEYS = [Key(KIND, namespace, name) for namespace in NAMESPACES for name in ("x", "y")]
OWNERS = ("", "u1", "u2")
READERS = ("one", "two")
TOPICS: list[tuple[str, ...]] = [
    *[("get", key.namespace, key.name) for key in KEYS],
    *[("owned", namespace, owner) for namespace in NAMESPACES for owner in OWNERS],
    *[("listed", namespace) for namespace in (*NAMESPACES, "")],
]

keys = st.sampled_from(KEYS)
owners = st.sampled_from(OWNERS)
colours = st.sampled_from(("red", "blue"))


def essence(obj: Obj | None) -> Any:
    """What a reader may look at: everything but the resource version."""
    if obj is None:
        return None
    metadata = {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
    return {**obj, "metadata": metadata}


class StoreModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store(on_wake=self.woken, freeze=True)
        self.version = 0
        self.uids = 0
        self.server: dict[Key, Obj] = {}
        self.stream: list[tuple[str, Obj]] = []
        self.answers: list[Obj] = []
        self.deletions: list[tuple[Key, str]] = []
        self.listing: tuple[Relist, list[Obj]] | None = None
        self.views: dict[str, View] = {}
        # For each reader what it saw (or was last woken for) of each topic that it depends on.
        self.committed: dict[str, dict[tuple[str, ...], Any]] = {reader: {} for reader in READERS}
        self.reading: dict[str, dict[tuple[str, ...], Any]] = {}
        # What the store has shown: it may never fall behind that again.
        self.shown: dict[Key, int] = dict.fromkeys(KEYS, 0)
        self.deleted_at: dict[Key, int] = dict.fromkeys(KEYS, 0)
        self.dropped: set[str] = set()
        self.forgotten: set[str] = set()
        self.store.replace(KIND, [], "0")

    # --- the server

    def put(self, key: Key, colour: str, owner: str) -> Obj:
        self.version += 1
        old = self.server.get(key)
        if old is None:
            self.uids += 1
        metadata: Obj = {
            "name": key.name,
            "namespace": key.namespace,
            "uid": old["metadata"]["uid"] if old else f"uid-{self.uids}",
            "resourceVersion": str(self.version),
            "managedFields": [{"manager": "kubectl"}],
        }
        if owner:
            metadata["ownerReferences"] = [{"uid": "other"}, {"uid": owner, "controller": True}]
        obj = {"kind": KIND, "metadata": metadata, "spec": {"colour": colour}}
        self.server[key] = obj
        self.stream.append(("MODIFIED" if old else "ADDED", obj))
        return copy.deepcopy(obj)

    def remove(self, key: Key) -> str:
        self.version += 1
        old = copy.deepcopy(self.server.pop(key))
        old["metadata"]["resourceVersion"] = str(self.version)
        self.deleted_at[key] = self.version
        self.stream.append(("DELETED", old))
        return str(old["metadata"]["uid"])

    @rule(key=keys, colour=colours, owner=owners)
    def someone_writes(self, key: Key, colour: str, owner: str) -> None:
        self.put(key, colour, owner)

    @rule(key=keys, colour=colours, owner=owners)
    def we_write_and_the_answer_is_under_way(self, key: Key, colour: str, owner: str) -> None:
        self.answers.append(self.put(key, colour, owner))

    @precondition(lambda self: self.server)
    @rule(data=st.data(), ours=st.booleans())
    def an_object_is_deleted(self, data: st.DataObject, ours: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.server)))
        known = self.store.get(key)
        uid = self.remove(key)
        if ours and known is not None and known["metadata"]["uid"] == uid:  # We delete only what we have seen.
            self.deletions.append((key, uid))

    # --- what reaches the store, in any order that the network allows

    @precondition(lambda self: self.stream and self.listing is None)
    @rule()
    def the_next_event_arrives(self) -> None:
        type_, obj = self.stream.pop(0)
        self.store.apply(KIND, type_, copy.deepcopy(obj))

    @precondition(lambda self: not self.stream and self.listing is None)
    @rule()
    def a_bookmark_arrives(self) -> None:
        self.store.apply(KIND, "BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        self.store.absorb(self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1))))

    @precondition(lambda self: self.deletions)
    @rule(data=st.data())
    def the_answer_to_a_delete_arrives(self, data: st.DataObject) -> None:
        key, uid = self.deletions.pop(data.draw(st.integers(0, len(self.deletions) - 1)))
        self.store.drop(key, uid)
        self.dropped.add(uid)

    @rule()
    def the_watch_expires_and_a_list_is_read(self) -> None:
        self.stream.clear()
        items = [copy.deepcopy(obj) for obj in self.server.values()]
        self.listing = (self.store.relist(KIND, str(self.version)), items)

    @precondition(lambda self: self.listing is not None)
    @rule()
    def the_list_goes_on(self) -> None:
        assert self.listing is not None
        listing, items = self.listing
        if items:
            listing.add(items.pop())
        else:
            listing.finish()
            self.listing = None

    # --- readers

    def seen_by(self, topic: tuple[str, ...], view: View) -> Any:
        match topic:
            case ("get", namespace, name):
                return essence(view.get(Key(KIND, namespace, name)))
            case ("owned", namespace, owner):
                return [essence(obj) for obj in view.owned(KIND, owner, namespace)]
            case _:
                return [essence(obj) for obj in view.listed(KIND, topic[1])]

    def now(self, topic: tuple[str, ...]) -> Any:
        """The same, from the store's plain contents, past its indexes and memory of readers."""
        objects = {key: self.store.get(key) for key in sorted(self.store.keys(KIND))}
        match topic:
            case ("get", namespace, name):
                return essence(objects.get(Key(KIND, namespace, name)))
            case ("owned", namespace, owner):
                return [
                    essence(obj)
                    for key, obj in objects.items()
                    if obj and key.namespace == namespace and self.owner(obj) == owner
                ]
            case _:
                return [essence(obj) for key, obj in objects.items() if topic[1] in ("", key.namespace)]

    @staticmethod
    def owner(obj: Obj) -> str:
        references = obj["metadata"].get("ownerReferences", [])
        return next((reference["uid"] for reference in references if reference.get("controller")), "")

    @rule(reader=st.sampled_from(READERS), topic=st.sampled_from(TOPICS))
    def a_reader_reads(self, reader: str, topic: tuple[str, ...]) -> None:
        if reader in self.forgotten:
            return
        view = self.views.setdefault(reader, self.store.view(reader))
        seen = self.seen_by(topic, view)
        assert seen == self.now(topic), "a view shows something else than the store holds"
        self.reading.setdefault(reader, {})[topic] = seen

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def a_reader_commits(self, data: st.DataObject) -> None:
        reader = data.draw(st.sampled_from(sorted(self.views)))
        self.views.pop(reader).commit()
        self.committed[reader] = self.reading.pop(reader)
        if reader in self.forgotten:  # It asked not to be told, so it counts from here.
            self.committed[reader] = {topic: self.now(topic) for topic in self.committed[reader]}
            self.forgotten.discard(reader)

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def a_reader_fails_before_it_commits(self, data: st.DataObject) -> None:
        reader = data.draw(st.sampled_from(sorted(self.views)))
        if reader in self.forgotten:
            return
        del self.views[reader]
        self.committed[reader] |= self.reading.pop(reader)

    @rule(reader=st.sampled_from(READERS))
    def a_reader_is_forgotten(self, reader: str) -> None:
        self.store.forget(reader)
        self.committed[reader] = {}
        if reader in self.views:
            self.forgotten.add(reader)

    def woken(self, reader: Hashable) -> None:
        assert isinstance(reader, str)
        changed = False
        for depends in (self.committed[reader], self.reading.get(reader, {})):
            for topic, seen in depends.items():
                if self.now(topic) != seen:
                    changed = True
                    depends[topic] = self.now(topic)
        assert reader not in self.forgotten, f"{reader} was woken although it was forgotten"
        assert changed, f"{reader} was woken although nothing that it read has changed"

    @invariant()
    def nobody_depends_on_something_stale_without_having_been_woken(self) -> None:
        for reader in READERS:
            if reader in self.forgotten:
                continue
            for depends in (self.committed[reader], self.reading.get(reader, {})):
                for topic, seen in depends.items():
                    assert self.now(topic) == seen, f"{reader} missed a change of {topic}"

    @invariant()
    def nothing_goes_back(self) -> None:
        for key in KEYS:
            obj = self.store.get(key)
            if obj is None:
                assert self.deleted_at[key] >= self.shown[key], f"{key} vanished without having been deleted"
            else:
                assert obj["metadata"]["uid"] not in self.dropped, f"{key} is back after its deletion"
                version = int(obj["metadata"]["resourceVersion"])
                assert version >= self.shown[key], f"{key} went back to an older version"
                self.shown[key] = version

    @invariant()
    def the_index_of_owners_is_that_of_the_objects(self) -> None:
        index: dict[tuple[str, str], set[Key]] = {}
        for key in self.store.keys(KIND):
            obj = self.store.get(key)
            assert obj is not None
            index.setdefault((key.namespace, self.owner(obj)), set()).add(key)
        assert {owner: set(owned) for owner, owned in self.store._kinds[KIND].owned.items()} == index

    def teardown(self) -> None:
        """Whatever happened: once everything has arrived, the store is what the server is."""
        while self.listing is not None:
            self.the_list_goes_on()
        for answer in self.answers:
            self.store.absorb(answer)
        for deletion in self.deletions:
            self.store.drop(*deletion)
        while self.stream:
            self.the_next_event_arrives()
        self.nobody_depends_on_something_stale_without_having_been_woken()
        stored = {key: self.store.get(key) for key in self.store.keys(KIND)}
        expected = copy.deepcopy(self.server)
        for obj in expected.values():
            del obj["metadata"]["managedFields"]
        assert stored == expected
        for reader in READERS:
            self.store.forget(reader)
        assert not self.store._readers, "subscriptions are left over"
        assert not self.store._kinds[KIND].ended, "deleted objects are remembered for ever"


TestStore = StoreModel.TestCase
TestStore.settings = settings(max_examples=400, stateful_step_count=50, deadline=None)
