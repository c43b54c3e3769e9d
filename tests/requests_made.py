"""What the operator asked of the API server in this session, as the server's own audit log tells it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from lab.cluster import Lab

Right = tuple[str, str, str]
"""API group, resource, verb."""

WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. replica: who asked. kind: plural, with a subresource after a slash. at, done: epoch seconds.

    denied: for want of a right; a namespace that is being deleted refuses with the same code.
    """

    replica: str
    verb: str
    group: str
    kind: str
    name: str
    code: int
    at: float
    done: float
    denied: bool

    @property
    def right(self) -> Right:
        return self.group, self.kind, self.verb

    @property
    def wrote(self) -> bool:
        """Whether it changed something."""
        return self.verb in WRITES and self.code < 300


def asked(lab: Lab) -> Iterator[Asked]:
    """Every request of the operator's account, in the order of their answers; without those about no resource."""
    path = lab.components.audit_log
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        about = entry.get("objectRef") or {}
        if "resource" not in about:
            continue
        yield Asked(
            replica=entry.get("userAgent", "").partition("(")[2].rstrip(")"),
            verb=entry["verb"],
            group=about.get("apiGroup", ""),
            kind="/".join(filter(None, [about["resource"], about.get("subresource")])),
            name=about.get("name", ""),
            code=(entry.get("responseStatus") or {}).get("code", 0),
            at=datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp(),
            done=datetime.fromisoformat(entry["stageTimestamp"]).timestamp(),
            denied=(entry.get("annotations") or {}).get("authorization.k8s.io/decision") == "forbid",
        )


def used(requests: Iterable[Asked]) -> set[Right]:
    """Every right without which some request would have been refused."""
    return {one.right for one in requests if one.code < 400 or one.code in (404, 409, 422, 429)}


def refused(lab: Lab) -> list[Asked]:
    """What was refused for want of a right.

    Not what was granted at another time: for a moment after its start an API server refuses what it grants, for it has
    not read its own roles yet. And no Secrets, which the chart was told not to grant in some stories.
    """
    requests = list(asked(lab))
    had = used(requests)
    return [one for one in requests if one.denied and one.right not in had and one.kind != "secrets"]
