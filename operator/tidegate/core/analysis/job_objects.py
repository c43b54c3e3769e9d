"""The Jobs of a run: what a decision reads of one, and the requests that create and delete it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from tidegate.api import names
from tidegate.core.hashing.fnv import safe_hash
from tidegate.core.plan import Key, Untold, Write
from tidegate.core.times import parse_time

_LONGEST: Final = 63
"""A Job's name becomes the value of a label."""
_IMAGE_ERRORS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of a run, as the cluster shows it.

    end: how it ended, empty before. why: what is said of that end.
    unpullable: why the image of one of its pods can't be had, so that it would wait for ever; empty otherwise.
    """

    name: str
    namespace: str
    uid: str
    metric: str
    created: datetime
    end: Literal["", "Complete", "Failed"] = ""
    why: str = ""
    unpullable: str = ""
    deleting: bool = False

    @property
    def number(self) -> int:
        """Which measurement of its metric it is."""
        tail = self.name.rpartition(".")[2]
        return int(tail) if tail.isdigit() else 0

    @property
    def running(self) -> bool:
        """Whether it still costs something."""
        return not self.end and not self.deleting

    @classmethod
    def read(cls, raw: Mapping[str, Any], pods: Iterable[Mapping[str, Any]] = ()) -> Job:
        """Read a batch/v1 Job and the pods that it owns."""
        meta = raw["metadata"]
        ends = [
            condition
            for condition in (raw.get("status") or {}).get("conditions") or ()
            if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
        ]
        failed = bool(ends) and ends[-1]["type"] == "Failed"
        return cls(
            name=meta["name"],
            namespace=meta["namespace"],
            uid=meta["uid"],
            metric=(meta.get("annotations") or {}).get(names.JOB_METRIC_NAME, ""),
            created=parse_time(meta["creationTimestamp"]),
            end=("Failed" if failed else "Complete") if ends else "",
            why=": ".join(filter(None, (ends[-1].get("reason"), ends[-1].get("message")))) if failed else "",
            unpullable=next(filter(None, map(_image_error, pods)), ""),
            deleting="deletionTimestamp" in meta,
        )


def _image_error(pod: Mapping[str, Any]) -> str:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _IMAGE_ERRORS:
            said = f"{waiting['reason']}: {waiting.get('message') or container.get('image', '')}"
            return f"container {container['name']} can't be started: {said}"
    return ""


@dataclass(frozen=True, slots=True)
class CreateJob(Untold):
    """Start a measurement."""

    metric: str
    body: Mapping[str, Any]

    def write(self) -> Write:
        meta = self.body["metadata"]
        return Write("create", Key("Job", meta["namespace"], meta["name"]), self.body)


@dataclass(frozen=True, slots=True)
class DeleteJob(Untold):
    """Stop a Job that nobody waits for any more, or forget one that ended long ago."""

    job: Job

    def write(self) -> Write:
        return Write("delete", Key("Job", self.job.namespace, self.job.name), uid=self.job.uid)


def job_name(run_uid: str, metric: str, number: int) -> str:
    """`<run's uid>.<metric>.<number>`, as in Argo Rollouts. A metric whose name does not fit into a Job's, for which
    Argo's measurements are errors, is shortened to something that is unique all the same."""
    room = _LONGEST - len(run_uid) - len(str(number)) - 2
    if len(metric) <= room and re.fullmatch(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", metric):
        return f"{run_uid}.{metric}.{number}"
    digest = safe_hash(metric.encode())
    plain = re.sub(r"[^a-z0-9]+", "-", metric.lower()).strip("-")[: room - len(digest) - 1].rstrip("-")
    return f"{run_uid}.{plain}-{digest}.{number}" if plain else f"{run_uid}.{digest}.{number}"


def job_body(name: str, metric: str, asked: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """The Job to create: the run owns it, and its pods bear the run's label, by which they are watched.

    asked: what stands under `provider.job`. run: the raw AnalysisRun.
    """
    meta = run["metadata"]
    given = asked.get("metadata") or {}
    mark = {names.JOB_RUN_UID: meta["uid"]}
    template = asked["spec"]["template"]
    about = template.get("metadata") or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {**(given.get("labels") or {}), **mark},
            "annotations": {
                **(given.get("annotations") or {}),
                names.JOB_RUN_NAME: meta["name"],
                names.JOB_METRIC_NAME: metric,
            },
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.ANALYSIS_RUN,
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": {
            **asked["spec"],
            "template": {**template, "metadata": {**about, "labels": {**(about.get("labels") or {}), **mark}}},
        },
    }
