"""An API server in memory, faithful where an operator can tell the difference.

Property tests and crash injection run thousands of stories against it, so it has to be fast; they are worth
something only if it refuses what the real server refuses, so `test_faithful.py` holds one against the other.
It serves requests (method, path, query, body), because that is the level at which the two can be compared.

Time comes from the clock that it is given. Nothing happens between two calls: controllers such as garbage
collection (`garbage.py`) and those of workloads (`workloads.py`) run when they are told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from .kinds import RESOURCES, FieldError, Obj, Resource, default, on_create, validate
from .rules import JSON_PATCH, MERGE_PATCH, Target, check_identity, confine, counted, patcher
from .selectors import parse_selector
from .status import (
    Refused,
    Response,
    already_exists,
    bad_request,
    delete_conflict,
    expired,
    failure,
    invalid,
    no_such_path,
    not_found,
    success,
)
from .watching import Change, History, Watch, field_filter

JSON: Final = "application/json"

JsonValue = TypeVar("JsonValue")

_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_FINALIZER_OF: Final = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True, slots=True)
class Written:
    """One write that was accepted, as an observer sees it.

    before, after: the object on either side; None where there is none. Not to be modified: the cluster's own.
    changed: False for a write that changed nothing and so was not stored.
    """

    actor: str
    verb: str
    kind: str
    namespace: str
    name: str
    subresource: str
    before: Obj | None
    after: Obj | None

    @property
    def changed(self) -> bool:
        return self.before is not self.after

    def __str__(self) -> str:
        sub = f"/{self.subresource}" if self.subresource else ""
        return f"{self.actor}: {self.verb} {self.kind}{sub} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Call:
    """What every write carries along."""

    actor: str
    verb: str
    dry_run: bool


class FakeCluster:
    """The API server.

    clock: the present time, aware.
    observers: called with each accepted write after it took effect; an invariant raises from here.
    log: every accepted write, oldest first.
    """

    def __init__(self, clock: Callable[[], datetime], resources: Iterable[Resource] = RESOURCES) -> None:
        self.clock = clock
        self.observers: list[Callable[[Written], None]] = []
        self.log: list[Written] = []
        self.history = History()
        self._by_path = {(r.prefix, r.plural): r for r in resources}
        self._by_kind: dict[str, Resource] = {}
        for resource in resources:
            self._by_kind.setdefault(resource.kind, resource)
        self._objects: dict[Resource, dict[tuple[str, str], Obj]] = {r: {} for r in resources}
        self._pages: dict[str, list[Obj]] = {}
        self._serial = 0
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})

    # -- requests

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        actor: str = "client",
    ) -> Response:
        """Answer one request. Watches are opened with `watch`. The body returned is the caller's own."""
        query = query or {}
        try:
            target = self.locate(path)
            if target is None:
                return no_such_path()
            response = self._serve(method, target, query, body, content_type, actor)
        except Refused as refused:
            return refused.response
        return Response(response.status, copy(response.body))

    def _serve(
        self, method: str, at: Target, query: Mapping[str, str], body: Any, content_type: str, actor: str
    ) -> Response:
        call = Call(actor, {"POST": "create", "PUT": "update"}.get(method, method.lower()), "dryRun" in query)
        match method:
            case "GET" if at.name:
                return Response(200, self._get(at))
            case "GET":
                return self._list(at, query)
            case "POST" if not at.name:
                return Response(201, self._create(at, body, call))
            case "PUT" if at.name:
                return Response(200, self._update(at, lambda _: body, call, replacing=True))
            case "PATCH" if at.name:
                return Response(200, self._update(at, patcher(content_type, body), call, replacing=False))
            case "DELETE" if at.name:
                return self._delete(at, body or {}, query, call)
            case _:
                return Response(405, {"kind": "Status", "status": "Failure", "reason": "MethodNotAllowed", "code": 405})

    def watch(self, path: str, query: Mapping[str, str] | None = None) -> Watch | Response:
        """Open a watch on a collection, or the answer that refuses it."""
        query = query or {}
        at = self.locate(path)
        if at is None:
            return no_such_path()
        try:
            wanted = self._filter(at, query)
        except Refused as refused:
            return refused.response
        since = query.get("resourceVersion", "")
        initial = [] if since not in ("", "0") else [o for o in self._all(at.resource) if wanted(o)]
        start = self.history.revision if since in ("", "0") else int(since)
        return Watch(
            self.history,
            at.resource,
            wanted,
            start,
            initial,
            query.get("allowWatchBookmarks") in ("true", "1"),
        )

    def compact(self) -> None:
        """Forget the past, as etcd does every few minutes: a watch from an earlier version gets 410."""
        self.history.compact()

    # -- the same for tests and for the other fakes; refusals are raised

    def create(self, obj: Obj, actor: str = "test") -> Obj:
        """Create an object; `kind` and `metadata` say which. The namespace defaults to `default`."""
        resource = self._by_kind[obj["kind"]]
        namespace = obj["metadata"].get("namespace", "default") if resource.namespaced else ""
        return copy(self._create(Target(resource, namespace, "", ""), copy(obj), Call(actor, "create", False)))

    def get(self, kind: str, name: str, namespace: str = "default") -> Obj | None:
        """A copy of an object, or None."""
        found = self.peek(kind, name, namespace)
        return None if found is None else copy(found)

    def peek(self, kind: str, name: str, namespace: str = "default") -> Obj | None:
        """The stored object itself, or None: not to be modified."""
        resource = self._by_kind[kind]
        return self._objects[resource].get((namespace if resource.namespaced else "", name))

    def peek_all(self, kind: str, namespace: str | None = None) -> list[Obj]:
        """The stored objects of a kind, of one namespace or all: not to be modified."""
        found = self._objects[self._by_kind[kind]].items()
        return [obj for (where, _), obj in found if namespace is None or where == namespace]

    def patch(
        self,
        kind: str,
        name: str,
        patch: Any,
        namespace: str = "default",
        subresource: str = "",
        actor: str = "test",
    ) -> Obj:
        """Apply a merge patch (a mapping) or a JSON patch (a list)."""
        resource = self._by_kind[kind]
        at = Target(resource, namespace if resource.namespaced else "", name, subresource)
        content_type = JSON_PATCH if isinstance(patch, list) else MERGE_PATCH
        return copy(self._update(at, patcher(content_type, copy(patch)), Call(actor, "patch", False), replacing=False))

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str = "default",
        policy: str = "Background",
        actor: str = "test",
    ) -> None:
        resource = self._by_kind[kind]
        at = Target(resource, namespace if resource.namespaced else "", name, "")
        self._delete(at, {"propagationPolicy": policy}, {}, Call(actor, "delete", False))

    def everything(self) -> list[Obj]:
        """Every stored object: not to be modified."""
        return [obj for objects in self._objects.values() for obj in objects.values()]

    @property
    def resource_version(self) -> str:
        return str(self.history.revision)

    def resource(self, kind: str) -> Resource:
        return self._by_kind[kind]

    # -- reading

    def locate(self, path: str) -> Target | None:
        """What a path addresses, or None when nothing is served there."""
        parts = path.strip("/").split("/")
        depth = 2 if parts[0] == "api" else 3
        prefix, rest = "/" + "/".join(parts[:depth]), parts[depth:]
        namespace = ""
        if len(rest) >= 3 and rest[0] == "namespaces" and (prefix, rest[2]) in self._by_path:
            namespace, rest = rest[1], rest[2:]
        resource = self._by_path.get((prefix, rest[0])) if rest else None
        if resource is None or len(rest) > 3:
            return None
        subresource = rest[2] if len(rest) == 3 else ""
        if subresource and not (subresource == "status" and resource.status):
            return None
        return Target(resource, namespace, rest[1] if len(rest) > 1 else "", subresource)

    def _get(self, at: Target) -> Obj:
        found = self._objects[at.resource].get((at.namespace, at.name))
        if found is None:
            raise not_found(at.resource, at.name)
        return found

    def _all(self, resource: Resource) -> list[Obj]:
        return [obj for _, obj in sorted(self._objects[resource].items())]

    def _filter(self, at: Target, query: Mapping[str, str]) -> Callable[[Obj], bool]:
        try:
            labels = parse_selector(query.get("labelSelector", ""))
        except ValueError as error:
            raise bad_request(str(error)) from error
        try:
            fields = field_filter(at.resource, query.get("fieldSelector", ""))
        except ValueError as error:
            raise bad_request(str(error)) from error

        def wanted(obj: Obj) -> bool:
            metadata = obj["metadata"]
            if at.namespace and metadata.get("namespace") != at.namespace:
                return False
            return labels(metadata.get("labels") or {}) and fields(obj)

        return wanted

    def _list(self, at: Target, query: Mapping[str, str]) -> Response:
        """A list, whole or in pages; all pages are of the moment of the first."""
        token, limit = query.get("continue", ""), int(query.get("limit") or 0)
        if token:
            revision = token.partition(":")[0]
            if int(revision) < self.history.compacted:
                return expired("The provided continue parameter is too old to display a consistent list result.")
            found = self._pages[token]
        else:
            revision, wanted = self.resource_version, self._filter(at, query)
            found = [obj for obj in self._all(at.resource) if wanted(obj)]
        metadata: Obj = {"resourceVersion": revision}
        if limit and len(found) > limit:
            rest = f"{revision}:{len(self._pages)}"
            self._pages[rest] = found[limit:]
            metadata["continue"] = rest
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        if not at.resource.custom:
            found = [{k: v for k, v in obj.items() if k not in ("kind", "apiVersion")} for obj in found]
        kind = f"{at.resource.kind}List"
        body = {"kind": kind, "apiVersion": at.resource.api_version, "metadata": metadata, "items": found}
        return Response(200, body)

    # -- writing

    def _create(self, at: Target, body: Any, call: Call) -> Obj:
        resource = at.resource
        if not isinstance(body, dict):
            raise bad_request("the object provided is unrecognized")
        if body.get("kind") != resource.kind or body.get("apiVersion") != resource.api_version:
            given = f"{body.get('apiVersion', '')}, Kind={body.get('kind', '')}"
            expected = f"{resource.api_version}, Kind={resource.kind}"
            raise bad_request(f"the object in the data ({given}) does not match the expected ({expected})")
        metadata = dict(body.get("metadata") or {})
        if metadata.get("namespace", at.namespace) != at.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if at.namespace and self.peek("Namespace", at.namespace) is None:
            raise not_found(self._by_kind["Namespace"], at.namespace)
        self._serial += 1
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                required = FieldError(
                    "FieldValueRequired", "metadata.name", "Required value: name or generateName is required"
                )
                raise invalid(resource, "", [required])
            metadata["name"] = metadata["generateName"] + _suffix(self._serial)
        name = metadata["name"]
        obj = dict(body)
        on_create(resource, obj, cluster_ip=f"10.96.{self._serial // 250 % 250}.{self._serial % 250 + 1}")
        if resource.namespaced:
            metadata["namespace"] = at.namespace
        for unset in ("managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(unset, None)
        metadata |= {
            "uid": f"{self._serial:08x}-0000-4000-8000-{self._serial:012x}",
            "creationTimestamp": self._now(),
        }
        if resource.generation:
            metadata["generation"] = 1  # Kinds that don't count keep what they are given.
        obj["metadata"] = metadata
        if errors := validate(resource, obj, None):
            raise invalid(resource, name, errors)
        if metadata.pop("resourceVersion", ""):
            raise Refused(failure(500, "", "resourceVersion should not be set on objects to be created"))
        if (at.namespace, name) in self._objects[resource]:
            raise already_exists(resource, name)
        return self._commit(Target(resource, at.namespace, name, ""), None, obj, call)

    def _update(self, at: Target, change: Callable[[Obj], Any], call: Call, *, replacing: bool) -> Obj:
        old = self._get(at)
        new = change(old)
        if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
            raise bad_request("the object provided is unrecognized")
        metadata: Obj = dict(new["metadata"])
        check_identity(at, old, metadata, replacing=replacing)
        new = confine(at, old, new, metadata)
        default(at.resource, new)
        errors = validate(at.resource, new, old)
        for fixed in ("uid", "deletionTimestamp"):
            if metadata.get(fixed) != old["metadata"].get(fixed):
                message = f'Invalid value: "{metadata[fixed]}": field is immutable'
                errors.append(FieldError("FieldValueInvalid", f"metadata.{fixed}", message))
        if errors:
            raise invalid(at.resource, at.name, errors)
        if new == old:
            return self._commit(at, old, old, call)
        if at.resource.generation and counted(at.resource, new) != counted(at.resource, old):
            metadata["generation"] = old["metadata"]["generation"] + 1
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self._commit(at, old, None, call)
            return new
        return self._commit(at, old, new, call)

    def _delete(self, at: Target, options: Obj, query: Mapping[str, str], call: Call) -> Response:
        old = self._get(at)
        preconditions = options.get("preconditions") or {}
        for name in ("uid", "resourceVersion"):
            wanted, present = preconditions.get(name), old["metadata"][name]
            if wanted is not None and wanted != present:
                raise delete_conflict(at.resource, at.name, name, wanted, present)
        policy = options.get("propagationPolicy") or query.get("propagationPolicy") or "Background"
        finalizers = [f for f in old["metadata"].get("finalizers") or () if f not in _FINALIZER_OF.values()]
        if policy in _FINALIZER_OF:
            finalizers.append(_FINALIZER_OF[policy])
        if not finalizers:
            self._commit(at, old, None, call)
            return success(at.resource, old)
        metadata = old["metadata"] | {"finalizers": finalizers}
        metadata.setdefault("deletionGracePeriodSeconds", 0)
        if "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = self._now()
            if at.resource.generation:
                metadata["generation"] += 1
        new = {**old, "metadata": metadata}
        return Response(200, self._commit(at, old, old if new == old else new, call))

    def _commit(self, at: Target, before: Obj | None, after: Obj | None, call: Call) -> Obj:
        """Store one accepted write, tell those who watch, and return the object as answered."""
        answered: Obj = after if after is not None else before or {}
        if call.dry_run:
            return answered
        if before is not after:
            revision = self.history.next()
            if after is None:
                del self._objects[at.resource][at.namespace, at.name]
            else:
                after["metadata"] = after["metadata"] | {"resourceVersion": str(revision)}
                self._objects[at.resource][at.namespace, at.name] = after
            self.history.add(Change(revision, at.resource, before, after))
        written = Written(call.actor, call.verb, at.resource.kind, at.namespace, at.name, at.subresource, before, after)
        self.log.append(written)
        for observer in tuple(self.observers):
            observer(written)
        return answered

    def _now(self) -> str:
        return self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def copy(value: JsonValue) -> JsonValue:
    """A deep copy of JSON data, faster than copy.deepcopy."""
    copied: JsonValue = orjson.loads(orjson.dumps(value))
    return copied


def _suffix(serial: int) -> str:
    """Five characters as generateName appends them; from the serial number, so that runs repeat."""
    number, letters = serial * 7_919_993, ""
    for _ in range(5):
        number, digit = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[digit]
    return letters
