"""Triggers and templates that are there without being written down. A ConfigMap that has the same key has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_WHERE: Final = "Rollout {{.rollout.metadata.namespace}}/{{.rollout.metadata.name}}"

_SENTENCES: Final = {
    "rollout-updated": f"{_WHERE}: an update to "
    "{{range $i, $c := .rollout.spec.template.spec.containers}}{{if $i}}, {{end}}{{$c.image}}{{end}} has begun.",
    "rollout-step-completed": f"{_WHERE}: step {{{{add .rollout.status.currentStepIndex 1}}}} of "
    "{{len .rollout.spec.strategy.canary.steps}} is done.",
    "rollout-paused": f"{_WHERE} is paused"
    "{{range .rollout.status.pauseConditions}} ({{.reason}}){{end}}; promote it to go on, or abort it.",
    "rollout-aborted": f"{_WHERE}: the update was undone. {{{{.rollout.status.message}}}}",
    "rollout-completed": f"{_WHERE}: the update is complete.",
    "analysis-run-running": f"{_WHERE}: an analysis has begun.",
    "analysis-run-failed": f"{_WHERE}: an analysis failed.",
    "analysis-run-error": f"{_WHERE}: an analysis could not measure.",
    "scaling-replica-set": f"{_WHERE}: a ReplicaSet is being scaled.",
}

TEMPLATES: Final[Mapping[str, str]] = {
    f"template.{name}": f"message: '{sentence}'\nemail: {{subject: '{sentence}'}}\n"
    for name, sentence in _SENTENCES.items()
}
TRIGGERS: Final[Mapping[str, str]] = {f"trigger.on-{name}": f"- send: [{name}]\n" for name in _SENTENCES}
