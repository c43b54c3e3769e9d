"""Jobs that end: kube-controller-manager and kubelet, as far as one who waits for a Job can tell.

What a Job does stands in its first container's command: `["exit", "0"]` completes, `["exit", "1"]` fails, anything
else runs for ever. A container whose image has `missing` in its name waits for it in a pod of its own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from .cluster import FakeCluster, Written
from .kinds import Obj

_ACTOR: Final = "job-controller"
_FAILED: Final = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}


@dataclass
class Jobs:
    """The Job controller, in the time of the event loop.

    takes: seconds from creation to the end. created: the name of every Job that there ever was, oldest first.
    """

    cluster: FakeCluster
    takes: float = 2.0
    created: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster.observers.append(self._observe)

    def _observe(self, written: Written) -> None:
        if written.kind != "Job" or written.verb != "create" or written.after is None:
            return
        job = written.after
        self.created.append(written.name)
        container = job["spec"]["template"]["spec"]["containers"][0]
        loop = asyncio.get_running_loop()
        loop.call_later(self.takes / 4, self._start, job, "missing" in container["image"])
        if "missing" not in container["image"] and container.get("command", [""])[0] == "exit":
            loop.call_later(self.takes, self._end, job, container["command"][1])

    def _start(self, job: Obj, missing: bool) -> None:
        """The Job's pod comes up, or its container waits for an image."""
        if not self._is_there(job):
            return
        meta, template = job["metadata"], job["spec"]["template"]
        waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
        state = waiting if missing else {"running": {"startedAt": meta["creationTimestamp"]}}
        self.cluster.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{meta['name']}-abcde",
                    "namespace": meta["namespace"],
                    "labels": template["metadata"]["labels"],
                    "ownerReferences": [
                        {
                            "apiVersion": "batch/v1",
                            "kind": "Job",
                            "name": meta["name"],
                            "uid": meta["uid"],
                            "controller": True,
                        }
                    ],
                },
                "spec": template["spec"],
                "status": {"phase": "Pending", "containerStatuses": [{"name": "check", "image": "x", "state": state}]},
            },
            actor=_ACTOR,
        )
        self._report(job, {"active": 1})

    def _end(self, job: Obj, code: str) -> None:
        if self._is_there(job):
            end: dict[str, Any] = {"type": "Complete"} if code == "0" else {"type": "Failed", **_FAILED}
            before = {"type": "SuccessCriteriaMet" if code == "0" else "FailureTarget", "status": "True"}
            self._report(job, {"active": 0, "conditions": [before]})
            self._report(job, {"active": 0, "conditions": [before, {**end, "status": "True"}]})

    def _report(self, job: Obj, status: Obj) -> None:
        meta = job["metadata"]
        self.cluster.patch("Job", meta["name"], {"status": status}, meta["namespace"], "status", actor=_ACTOR)

    def _is_there(self, job: Obj) -> bool:
        meta = job["metadata"]
        found = self.cluster.peek("Job", meta["name"], meta["namespace"])
        return found is not None and found["metadata"]["uid"] == meta["uid"]
