"""What the kubelet says about a pod: pure functions from the state of its containers to a `status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NODE_ADDRESS, NODE_PORT = "10.244.0.1", 10250
"""Where the kubelet itself is."""


@dataclass(slots=True)
class Container:
    """One container's state: `running` since `started`, else ended with `exit_code`, else waiting for `reason`.

    Times as RFC 3339 text, as the API has them. last: the termination before the present state.
    """

    name: str
    image: str
    running: bool = False
    ready: bool = False
    started: str = ""
    finished: str = ""
    exit_code: int | None = None
    reason: str = "ContainerCreating"
    message: str = ""
    restarts: int = 0
    last: Mapping[str, Any] | None = None

    @property
    def ever_started(self) -> bool:
        return bool(self.started)

    def status(self) -> dict[str, Any]:
        if self.running:
            state: dict[str, Any] = {"running": {"startedAt": self.started}}
        elif self.exit_code is not None:
            state = {"terminated": self.termination()}
        else:
            state = {"waiting": {"reason": self.reason, **({"message": self.message} if self.message else {})}}
        status = {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "ready": self.ready,
            "started": self.running,
            "restartCount": self.restarts,
            "state": state,
        }
        return {**status, "lastState": {"terminated": self.last}} if self.last else status

    def termination(self) -> dict[str, Any]:
        return {
            "exitCode": self.exit_code,
            "reason": self.reason or ("Completed" if self.exit_code == 0 else "Error"),
            "startedAt": self.started,
            "finishedAt": self.finished,
        }


def phase(containers: Sequence[Container]) -> str:
    """The pod's phase. A container that waits to be restarted still counts as running."""
    if all(c.exit_code is not None and not c.running for c in containers):
        return "Succeeded" if all(c.exit_code == 0 for c in containers) else "Failed"
    return "Running" if any(c.ever_started for c in containers) else "Pending"


def conditions(pod: Mapping[str, Any], containers: Sequence[Container]) -> list[dict[str, str]]:
    """The kubelet's own conditions, without times. Ready needs every readiness gate of the pod to be True."""
    now = phase(containers)
    done = now in ("Succeeded", "Failed")
    unready = [c.name for c in containers if not c.ready]
    seen = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", [])}
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", [])]
    closed = [gate for gate in gates if seen.get(gate) != "True"]
    if done:
        blocked = ("PodCompleted", "") if now == "Succeeded" else ("PodFailed", "")
    else:
        blocked = ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    containers_ready = _condition("ContainersReady", None if not unready and not done else blocked)
    gated = ("ReadinessGatesNotReady", f"readiness gates not True: {', '.join(closed)}") if closed else None
    ready = _condition("Ready", blocked if unready or done else gated)
    started = any(c.ever_started for c in containers)
    return [
        {"type": "PodReadyToStartContainers", "status": "True" if started and not done else "False"},
        {"type": "Initialized", "status": "True"},
        ready,
        containers_ready,
        {"type": "PodScheduled", "status": "True"},
    ]


def pod_status(
    pod: Mapping[str, Any], containers: Sequence[Container], *, address: str, started: str
) -> dict[str, Any]:
    """The status to write, as a strategic merge patch: conditions set by others stay. Conditions carry no times."""
    status: dict[str, Any] = {
        "phase": phase(containers),
        "startTime": started,
        "hostIP": NODE_ADDRESS,
        "hostIPs": [{"ip": NODE_ADDRESS}],
        "conditions": conditions(pod, containers),
        "containerStatuses": [container.status() for container in containers],
    }
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    return status


def _condition(kind: str, blocked: tuple[str, str] | None) -> dict[str, str]:
    if blocked is None:
        return {"type": kind, "status": "True"}
    reason, message = blocked
    return {"type": kind, "status": "False", "reason": reason, "message": message}
