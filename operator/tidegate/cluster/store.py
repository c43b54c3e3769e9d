"""What the cluster looked like when we last heard of it, and who has to look again when that changes.

Hand-written indexes ("which Rollouts name this Service?") are where controllers lose wake-ups. Here a reader
declares nothing: the store remembers what it read, present or absent, and wakes it when any of that changes.

Three races are closed in this module:
- The answer to our own write may overtake the watch event, or trail it: the higher resource version wins, and
  the later of the two changes nothing and wakes nobody.
- An answer may arrive after the object has been deleted: what is absent although the watch is past its
  version stays absent.
- A re-list may be older than an answer that arrived while it was read: it neither takes back nor deletes
  what is newer than itself.

Objects are shared between the store, its readers and the plans made of them. Nobody changes one, ever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tidegate.cluster.frozen import freeze
from tidegate.cluster.rules import KindRules, Obj, strip
from tidegate.core.plan import Key

# What a reader can depend on: one object (its Key), those with one controller, all of a kind in a namespace.
Topic = tuple[str, ...]


_ABSORBED: Final = 1024


class Change(NamedTuple):
    """A significant change of one object. `old` is None when it appeared, `new` when it vanished.

    listed: it came with a list, not a watch event: after a start, or after having been out of touch.
    """

    key: Key
    old: Obj | None
    new: Obj | None
    listed: bool


@dataclass(slots=True)
class _Scope:
    """What one informer covers: a namespace, or all (""). `seen`: the version up to which all is told."""

    synced: bool = False
    seen: int = 0


@dataclass(slots=True)
class _Kind:
    rules: KindRules
    objects: dict[Key, Obj] = field(default_factory=dict)
    owned: dict[tuple[str, str], dict[Key, None]] = field(default_factory=dict)
    scopes: dict[str, _Scope] = field(default_factory=dict)
    # What a delete of ours has ended while the watch has not said so yet: by uid, its key and last version.
    ended: dict[str, tuple[Key, int]] = field(default_factory=dict)
    # Versions that answers to our writes have brought and the watch has not, oldest first.
    absorbed: dict[str, None] = field(default_factory=dict)
    listeners: list[Callable[[Change], None]] = field(default_factory=list)

    def scope_of(self, namespace: str) -> _Scope | None:
        return self.scopes.get("") or self.scopes.get(namespace)

    def outlived(self, key: Key, version: int) -> bool:
        """Whether an object of this name and a later version has been seen, and its end."""
        return any(ended == key and version <= last for ended, last in self.ended.values())


class Store:
    """Objects by key, and the readers to be woken.

    rules: per kind, how it is kept; other kinds are kept whole.
    on_wake: called with a reader when something that it has read changed; once per change, from inside the
    call
        that brought the change. It must only take note.
    freeze: make every object raise when it is changed. For tests; costs a copy of each object.
    """

    def __init__(
        self,
        rules: Mapping[str, KindRules] | None = None,
        *,
        on_wake: Callable[[Hashable], None] | None = None,
        freeze: bool = False,
    ) -> None:
        self.on_wake = on_wake
        self._rules = dict(rules or {})
        self._freeze = freeze
        self._kinds: dict[str, _Kind] = {}
        # Insertion-ordered, so that wake-ups come in the same order in every run.
        self._readers: dict[Topic, dict[Hashable, None]] = {}
        self._topics: dict[Hashable, set[Topic]] = {}

    # --- what informers and writers tell

    def expect(self, kind: str, scope: str = "") -> None:
        """Announce that `kind` will be kept up to date, in one namespace or (scope "") everywhere."""
        self._kind(kind).scopes.setdefault(scope, _Scope())

    def relist(self, kind: str, resource_version: str, scope: str = "") -> Relist:
        """Start to take in a list as of `resource_version`, page by page."""
        self.expect(kind, scope)
        return Relist(self, self._kind(kind), kind, int(resource_version), scope)

    def empty(self, kind: str, scope: str = "") -> None:
        """The server does not know this kind, so nothing of it exists. Counts as synced."""
        self.expect(kind, scope)
        state = self._kind(kind)
        for key, obj in list(state.objects.items()):
            if not scope or key.namespace == scope:
                self._remove(state, key, obj, listed=True)
        state.scopes[scope].synced = True

    def replace(self, kind: str, items: Iterable[Obj], resource_version: str, *, scope: str = "") -> None:
        """Take in a whole list as of `resource_version`; what it lacks is gone."""
        listing = self.relist(kind, resource_version, scope)
        for item in items:
            listing.add(item)
        listing.finish()

    def apply(self, kind: str, type_: str, obj: Obj, *, scope: str = "") -> None:
        """Take in one watch event (ADDED, MODIFIED, DELETED, BOOKMARK).

        Raises KeyError, TypeError or ValueError for an object without a name, uid or numeric resource
        version.
        """
        state = self._kind(kind)
        watched = state.scopes.setdefault(scope, _Scope())
        version = int(obj["metadata"]["resourceVersion"])
        if type_ == "DELETED":
            self._end(state, kind, obj, version)
        elif type_ != "BOOKMARK":
            self._put(state, kind, obj, version, listed=False)
        watched.seen = max(watched.seen, version)

    def absorb(self, obj: Obj) -> None:
        """Take in the server's answer to a write of ours, which the store now owns.

        Ignored for kinds and namespaces that nobody watches, since such an object would never be updated
        again. Of a kind watched by label, absorb only what carries the label.
        """
        kind, metadata = obj["kind"], obj["metadata"]
        state = self._kinds.get(kind)
        watched = state.scope_of(metadata.get("namespace", "")) if state else None
        if state is None or watched is None:
            return
        version = int(metadata["resourceVersion"])
        if _key(kind, metadata) not in state.objects and version <= watched.seen:
            return
        if not self._put(state, kind, obj, version, listed=False):
            return  # The watch was first.
        state.absorbed[metadata["resourceVersion"]] = None
        if len(state.absorbed) > _ABSORBED:  # What a broken watch never told.
            del state.absorbed[next(iter(state.absorbed))]

    def has_absorbed(self, kind: str, version: str) -> bool:
        """Whether an answer has brought this version, so that the watch tells nothing new by it. Asked once."""
        state = self._kinds.get(kind)
        if state is None or version not in state.absorbed:
            return False
        del state.absorbed[version]
        return True

    def drop(self, key: Key, uid: str = "") -> None:
        """Forget an object that the server said is gone: deleted by us just now, or missing when written to.

        uid: which object of that name. Events of it that are still under way are ignored.
        """
        state = self._kinds.get(key.kind)
        old = state.objects.get(key) if state else None
        if state is None or old is None or uid not in ("", old["metadata"]["uid"]):
            return
        metadata = old["metadata"]
        state.ended[metadata["uid"]] = (key, int(metadata["resourceVersion"]))
        self._remove(state, key, old, listed=False)

    # --- what readers ask

    def view(self, reader: Hashable) -> View:
        """Reads on behalf of `reader`; see View. One view of a reader at a time."""
        return View(self, reader)

    def get(self, key: Key) -> Obj | None:
        """One object, without remembering who asked."""
        state = self._kinds.get(key.kind)
        return state.objects.get(key) if state else None

    def owned(self, kind: str, owner_uid: str, namespace: str) -> list[Obj]:
        """What `View.owned` returns, without remembering who asked."""
        state = self._kinds.get(kind)
        keys = state.owned.get((namespace, owner_uid)) if state else None
        return [state.objects[key] for key in sorted(keys)] if state and keys else []

    def keys(self, kind: str) -> list[Key]:
        """The keys of all objects of a kind."""
        state = self._kinds.get(kind)
        return list(state.objects) if state else []

    def synced(self, *kinds: str) -> bool:
        """Whether each of these kinds has been listed completely, in each of its scopes."""
        states = [self._kinds.get(kind) for kind in kinds]
        return all(state and state.scopes and all(s.synced for s in state.scopes.values()) for state in states)

    def on_change(self, kind: str, listener: Callable[[Change], None]) -> None:
        """Call `listener` for every significant change of this kind, before readers are woken."""
        self._kind(kind).listeners.append(listener)

    def forget(self, reader: Hashable) -> None:
        """Never wake this reader again, until it reads again."""
        for topic in self._topics.pop(reader, ()):
            self._unsubscribe(reader, topic)

    # --- below

    def _kind(self, kind: str) -> _Kind:
        state = self._kinds.get(kind)
        if state is None:
            state = self._kinds[kind] = _Kind(self._rules.get(kind) or KindRules())
        return state

    def _put(self, state: _Kind, kind: str, obj: Obj, version: int, *, listed: bool, force: bool = False) -> bool:
        """Keep an object, unless what is known is as new. Whether it is kept."""
        metadata = obj["metadata"]
        key = _key(kind, metadata)
        uid = metadata["uid"]
        old = state.objects.get(key)
        if uid in state.ended or (state.outlived(key, version) and not force):
            return False
        if old is not None and not force and int(old["metadata"]["resourceVersion"]) >= version:
            return False
        strip(metadata)
        if state.rules.project is not None:
            obj = state.rules.project(obj)
        if self._freeze:
            obj = freeze(obj)
        state.objects[key] = obj
        before, after = old and _owner(key, old), _owner(key, obj)
        if before != after:
            if before:
                _discard(state.owned, before, key)
            state.owned.setdefault(after, {})[key] = None
        if old is None or old["metadata"]["uid"] != uid or state.rules.significant(old, obj):
            self._tell(state, Change(key, old, obj, listed))
        return True

    def _end(self, state: _Kind, kind: str, obj: Obj, version: int) -> None:
        metadata = obj["metadata"]
        key, uid = _key(kind, metadata), metadata["uid"]
        state.ended.pop(uid, None)
        old = state.objects.get(key)
        if old is None:
            return
        known = old["metadata"]
        if known["uid"] != uid and int(known["resourceVersion"]) > version:
            return  # Deleted and created anew, and the answer to that creation came before this event.
        self._remove(state, key, old, listed=False)

    def _remove(self, state: _Kind, key: Key, old: Obj, *, listed: bool) -> None:
        del state.objects[key]
        _discard(state.owned, _owner(key, old), key)
        self._tell(state, Change(key, old, None, listed))

    def _tell(self, state: _Kind, change: Change) -> None:
        for listener in state.listeners:
            listener(change)
        if self.on_wake is None:
            return
        key = change.key
        topics: dict[Topic, None] = {
            key: None,
            _listing(key.kind, key.namespace): None,
            _listing(key.kind, ""): None,
        }
        for obj in (change.old, change.new):
            if obj is not None:
                topics[_ownership(key.kind, *_owner(key, obj))] = None
        woken: dict[Hashable, None] = {}
        for topic in topics:
            woken.update(self._readers.get(topic, {}))
        for reader in woken:
            self.on_wake(reader)

    def _subscribe(self, reader: Hashable, topic: Topic) -> None:
        self._readers.setdefault(topic, {})[reader] = None
        self._topics.setdefault(reader, set()).add(topic)

    def _keep_only(self, reader: Hashable, topics: set[Topic]) -> None:
        known = self._topics.get(reader, set())
        for topic in known - topics:
            self._unsubscribe(reader, topic)
        for topic in topics - known:  # The reader was forgotten while it was reading.
            self._readers.setdefault(topic, {})[reader] = None
        self._topics[reader] = topics

    def _unsubscribe(self, reader: Hashable, topic: Topic) -> None:
        readers = self._readers[topic]
        del readers[reader]
        if not readers:
            del self._readers[topic]


class Relist:
    """A list on its way into the store. Objects are visible at once; what is gone goes at the end.

    A list older than what the watch has told can only mean that the server was restored from a backup. Then
    all our versions are from a history that never happened, and the list is right about everything.
    """

    __slots__ = ("_ended_before", "_kind", "_listed", "_rewound", "_scope", "_state", "_store", "_version")

    def __init__(self, store: Store, state: _Kind, kind: str, version: int, scope: str) -> None:
        self._store = store
        self._state = state
        self._kind = kind
        self._version = version
        self._scope = scope
        self._rewound = version < state.scopes[scope].seen
        if self._rewound:
            state.absorbed.clear()  # Other objects will have these versions.
        self._listed: dict[Key, str] = {}
        self._ended_before = frozenset(state.ended)
        # An answer older than the list tells nothing that the list won't tell better.
        state.scopes[scope].seen = version

    def add(self, obj: Obj) -> None:
        """Take in one item. Raises like Store.apply."""
        metadata = obj["metadata"]
        uid = metadata["uid"]
        self._listed[_key(self._kind, metadata)] = uid
        if uid in self._ended_before:
            self._state.ended.pop(uid, None)  # The server still has what we took for deleted; it is right.
        version = int(metadata["resourceVersion"])
        self._store._put(self._state, self._kind, obj, version, listed=True, force=self._rewound)

    def finish(self) -> None:
        """All items are in: remove what the list lacks, unless it is younger than the list."""
        state, scope, listed = self._state, self._scope, self._listed
        for key, obj in list(state.objects.items()):
            if key in listed or (scope and key.namespace != scope):
                continue
            if self._rewound or int(obj["metadata"]["resourceVersion"]) <= self._version:
                self._store._remove(state, key, obj, listed=True)
        # Of what was gone before the list, the watch from here on will not report the end.
        uids = set(listed.values())
        state.ended = {
            uid: (key, version)
            for uid, (key, version) in state.ended.items()
            if uid in uids or (version > self._version and not self._rewound)
        }
        state.scopes[scope].synced = True


class View:
    """What one reader reads, remembered.

    Every read counts from the moment it is made, so a change between reading and `commit` wakes the reader.
    `commit` ends what an earlier view has read and this one has not. A view that is never committed (its
    reconcile failed) leaves both in force.
    """

    __slots__ = ("_read", "_reader", "_store")

    def __init__(self, store: Store, reader: Hashable) -> None:
        self._store = store
        self._reader = reader
        self._read: set[Topic] = set()

    def get(self, key: Key) -> Obj | None:
        """One object, or None. Its appearing wakes the reader too."""
        self._note(key)
        return self._store.get(key)

    def owned(self, kind: str, owner_uid: str, namespace: str) -> list[Obj]:
        """The objects whose controller is `owner_uid` (those without a controller for ""), by name."""
        self._note(_ownership(kind, namespace, owner_uid))
        return self._store.owned(kind, owner_uid, namespace)

    def listed(self, kind: str, namespace: str = "") -> list[Obj]:
        """All objects of a kind in one namespace, or everywhere, by name."""
        self._note(_listing(kind, namespace))
        state = self._store._kinds.get(kind)
        if state is None:
            return []
        keys = (key for key in state.objects if not namespace or key.namespace == namespace)
        return [state.objects[key] for key in sorted(keys)]

    def commit(self) -> None:
        """Make this view the whole of what the reader depends on."""
        self._store._keep_only(self._reader, self._read)

    def _note(self, topic: Topic) -> None:
        if topic not in self._read:
            self._read.add(topic)
            self._store._subscribe(self._reader, topic)


def _key(kind: str, metadata: Mapping[str, Any]) -> Key:
    return Key(kind, metadata.get("namespace", ""), metadata["name"])


# Four parts where a Key has three, so no topic can be mistaken for another.
def _ownership(kind: str, namespace: str, owner_uid: str) -> Topic:
    return ("owned by", kind, namespace, owner_uid)


def _listing(kind: str, namespace: str) -> Topic:
    return ("all", kind, namespace, "")


def _owner(key: Key, obj: Obj) -> tuple[str, str]:
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return key.namespace, reference["uid"]
    return key.namespace, ""


def _discard(index: dict[tuple[str, str], dict[Key, None]], owner: tuple[str, str], key: Key) -> None:
    keys = index[owner]
    del keys[key]
    if not keys:
        del index[owner]
