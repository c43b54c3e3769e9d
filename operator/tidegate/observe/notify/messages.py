"""A message's texts: every template of a condition filled in, later ones over earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.observe.notify.deciding import Due
from tidegate.observe.notify.go_syntax import TemplateError
from tidegate.observe.notify.settings import Settings


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said.

    parts: texts and values by where they go, such as ("message",), ("slack", "attachments") or ("webhook", "hook",
    "body"). id: the same for the same message.
    """

    parts: Mapping[tuple[str, ...], Any]
    id: str
    trigger: str
    namespace: str
    rollout: str

    @property
    def text(self) -> str:
        """The sentence that every service can carry."""
        return self.get("message") or f"{self.trigger}: Rollout {self.namespace}/{self.rollout}"

    def get(self, *path: str) -> str:
        """One text; empty where there is none."""
        value = self.parts.get(path)
        return value if isinstance(value, str) else ""

    def has(self, *path: str) -> bool:
        """Whether anything is written below a path."""
        return any(place[: len(path)] == path for place in self.parts)


class WordingError(Exception):
    """A message that can't be worded. Its text holds no values."""


def word(settings: Settings, due: Due) -> Message:
    """The message's texts. Raises WordingError."""
    values = {
        "rollout": due.rollout,
        "context": settings.context,
        "serviceType": settings.services[due.service].type,
        "recipient": due.recipient,
    }
    parts: dict[tuple[str, ...], Any] = {}
    for name in due.templates:
        wording = settings.templates.get(name)
        if wording is None:
            fault = next((f for f in settings.faults if f.key == f"template.{name}"), None)
            raise WordingError(str(fault) if fault else f"template {name} of trigger {due.trigger} is not there")
        parts |= wording.plain
        for path, template in wording.texts.items():
            try:
                parts[path] = template.fill(values)
            except TemplateError as error:
                raise WordingError(f"template {name}, {'.'.join(path)}: {error}") from None
    metadata = due.rollout["metadata"]
    return Message(parts, due.id, due.trigger, metadata.get("namespace", ""), metadata["name"])
