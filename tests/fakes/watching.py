"""The past of the fake cluster, and watches that read on from any point of it that has not been compacted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .kinds import Obj, Resource
from .status import expired

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


@dataclass(frozen=True, slots=True)
class Change:
    """One stored write. `before` is None for a creation, `after` for a removal."""

    revision: int
    resource: Resource
    before: Obj | None
    after: Obj | None


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch. The object may be shared with the cluster: not to be modified."""

    type: EventType
    object: Obj


class History:
    """The counter that every resourceVersion comes from, and the changes since the last compaction.

    listeners: called without arguments after each change, so that a stream can wake.
    """

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 0
        self.changes: list[Change] = []
        self.dropped = 0
        self.listeners: list[Callable[[], None]] = []

    def next(self) -> int:
        self.revision += 1
        return self.revision

    def add(self, change: Change) -> None:
        self.changes.append(change)
        for listener in tuple(self.listeners):
            listener()

    def compact(self) -> None:
        self.dropped += len(self.changes)
        self.changes.clear()
        self.compacted = self.revision

    def position(self, revision: int) -> int:
        """The number of changes ever made up to and including this revision."""
        later = sum(1 for change in self.changes if change.revision > revision)
        return self.dropped + len(self.changes) - later


class Watch:
    """One open watch. `drain` returns what happened since the last call.

    expired: the stream ended with 410, as a watch that starts before the compaction does.
    """

    def __init__(
        self,
        history: History,
        resource: Resource,
        wanted: Callable[[Obj], bool],
        start: int,
        initial: list[Obj],
        bookmarks: bool,
    ) -> None:
        self._history, self._resource, self._wanted = history, resource, wanted
        self._initial = initial
        self._bookmarks = bookmarks
        self._start = start
        self.expired = start < history.compacted
        self._position = history.position(start)

    def drain(self) -> list[WatchEvent]:
        if self.expired:
            message = f"too old resource version: {self._start} ({self._history.compacted})"
            return [WatchEvent("ERROR", expired(message).body)]
        events = [WatchEvent("ADDED", obj) for obj in self._initial]
        self._initial = []
        skipped = max(0, self._position - self._history.dropped)
        changes = [c for c in self._history.changes[skipped:] if c.resource is self._resource]
        events += [event for change in changes if (event := self._event(change))]
        self._position = self._history.dropped + len(self._history.changes)
        return events

    def bookmark(self) -> list[WatchEvent]:
        """What the server sends now and then, so that a quiet watch does not start from too far back."""
        if not self._bookmarks or self.expired:
            return []
        metadata = {"resourceVersion": str(self._history.revision), "creationTimestamp": None}
        body = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        return [WatchEvent("BOOKMARK", body)]

    def _event(self, change: Change) -> WatchEvent | None:
        was = change.before is not None and self._wanted(change.before)
        if change.after is not None and self._wanted(change.after):
            return WatchEvent("MODIFIED" if was else "ADDED", change.after)
        if was and change.before is not None:
            # An object that leaves the selection is deleted for this watcher, shown as it last matched.
            metadata = change.before["metadata"] | {"resourceVersion": str(change.revision)}
            return WatchEvent("DELETED", {**change.before, "metadata": metadata})
        return None


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Event": (
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
    ),
    "Pod": ("spec.nodeName", "status.phase", "status.podIP", "spec.restartPolicy"),
    "ReplicaSet": ("status.replicas",),
    "Job": ("status.successful",),
    "Secret": ("type",),
}


def field_filter(resource: Resource, text: str) -> Callable[[Obj], bool]:
    """Read a field selector, as `metadata.name=app`. Raises ValueError for a field that the kind lacks."""
    tests: list[tuple[list[str], str, bool]] = []
    for part in filter(None, text.split(",")):
        path, equal, value = part.replace("==", "=").partition("=")
        negated = path.endswith("!")
        path = path.rstrip("!")
        if not equal:
            raise ValueError(f"invalid selector: {text!r}; can't understand {part!r}")
        if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(resource.kind, ())):
            raise ValueError(f"field label not supported: {path}")
        tests.append((path.split("."), value, negated))
    return lambda obj: all((str(_dig(obj, path)) == value) != negated for path, value, negated in tests)


def _dig(obj: Any, path: list[str]) -> Any:
    for name in path:
        obj = obj.get(name, "") if isinstance(obj, Mapping) else ""
    return obj
