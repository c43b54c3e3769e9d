"""An Experiment that stands for itself, on the stage of rollouts: `decide` in virtual time over plain objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.rollout.objects import template
from tests.rollout.stage import NAMESPACE, Stage
from tidegate.core.plan import Key

Obj = dict[str, Any]

TRIAL: Final = Key("Experiment", NAMESPACE, "trial")


def version(name: str, image: str = "v1", **fields: Any) -> Obj:
    """One version whose pods have a port."""
    labels = {"app": "trial", "version": name}
    container = {"name": "main", "image": image, "ports": [{"containerPort": 8080}]}
    return {
        "name": name,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        **fields,
    }


def experiment(*versions: Obj, labels: Mapping[str, str] | None = None, **spec: Any) -> Obj:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "trial", **({"labels": dict(labels)} if labels else {})},
        "spec": {"templates": list(versions) or [version("one")], **spec},
    }


def asked(name: str = "look", **fields: Any) -> Obj:
    return {"name": name, "templateName": "ok", **fields}


class Trial(Stage):
    """A stage with one Experiment, `trial`, and the analysis template `ok`."""

    @property
    def trial(self) -> Obj:
        return self.objects[TRIAL]

    @property
    def ended(self) -> Obj:
        status: Obj = self.trial.get("status") or {}
        return status

    @property
    def phase_now(self) -> str:
        phase: str = self.ended.get("phase", "")
        return phase

    def version(self, name: str) -> Obj:
        """The status of a version."""
        return next((each for each in self.ended.get("templateStatuses", ()) if each["name"] == name), {})

    def set_of(self, name: str) -> Obj:
        return self.objects[Key("ReplicaSet", NAMESPACE, f"trial-{name}")]

    def wanted(self) -> dict[str, int]:
        """The pods that each ReplicaSet should have."""
        return {k.name: o["spec"]["replicas"] for k, o in self.objects.items() if k.kind == "ReplicaSet"}

    def reasons(self) -> list[str]:
        return [event.reason for event in self.trials.told]

    def change(self, **spec: Any) -> None:
        self.edit(TRIAL, {"spec": spec})


def begin(obj: Obj, **stage: Any) -> Trial:
    """A stage on which the Experiment has just been created."""
    trial = Trial(strict=False, twice=True, **stage)
    trial.put(template())
    trial.put(obj)
    return trial
