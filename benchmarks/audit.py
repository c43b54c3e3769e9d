"""What a controller asked of the API server, counted by the API server itself: the same for ours and for any other."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
READS = frozenset({"get", "list"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request. kind: the resource's plural, with its subresource after a slash if there is one."""

    verb: str
    kind: str
    code: int

    @property
    def about_events(self) -> bool:
        return self.kind == "events"

    @property
    def about_leases(self) -> bool:
        return self.kind == "leases"


class AuditLog:
    """The API server's audit log, as far as it is about one user."""

    def __init__(self, path: Path, user: str) -> None:
        self._path = path
        self._user = user

    def requests(self, begin: float, end: float) -> list[Request]:
        """What was asked between two moments of `time.time()`, watches aside."""
        time.sleep(0.2)  # a request is written down after its answer
        found = []
        for line in self._path.read_text().splitlines():
            entry = json.loads(line)
            at = datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()
            if not begin <= at <= end or entry["user"]["username"] != self._user:
                continue
            about = entry.get("objectRef") or {}
            if entry["verb"] not in WRITES | READS or "resource" not in about:
                continue
            kind = "/".join(filter(None, [about["resource"], about.get("subresource")]))
            found.append(Request(entry["verb"], kind, (entry.get("responseStatus") or {}).get("code", 0)))
        return found


def writes(requests: Iterable[Request]) -> list[Request]:
    """The writes, without events, which only tell, and without the lease, which does not depend on the work."""
    return [r for r in requests if r.verb in WRITES and not r.about_events and not r.about_leases]


def reads(requests: Iterable[Request]) -> list[Request]:
    """The reads of single objects and lists, which a controller that watches has no need of."""
    return [r for r in requests if r.verb in READS and not r.about_leases]


def by_kind(requests: Iterable[Request]) -> Counter[str]:
    """How many requests of which verb about which kind; refused ones with their code."""
    return Counter(f"{r.verb} {r.kind}" + (f" ({r.code})" if r.code >= 400 else "") for r in requests)
