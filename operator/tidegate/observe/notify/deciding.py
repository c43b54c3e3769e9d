"""Which messages are due: subscriptions, occasions and triggers on one side, what was told already on the other."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha1, sha256
from typing import Any, Final

import yaml

from tidegate.api import names
from tidegate.core.analysis.conditions import ConditionError
from tidegate.core.plan import Event
from tidegate.observe.notify.occasions import LASTING, Occasion, at_step, occasions, shows, trigger_of
from tidegate.observe.notify.settings import CONFIG_MAP, Condition, Settings

Obj = Mapping[str, Any]

PREFIX: Final = "notifications.argoproj.io/"
_SUBSCRIBE: Final = f"{PREFIX}subscribe."
_AS_YAML: Final = (f"{PREFIX}subscriptions", f"{PREFIX}subscribe_yaml")
_REMEMBERED: Final = 100
"""Messages that a Rollout remembers, as in Argo's notifications."""
_LASTING: Final = frozenset(map(trigger_of, LASTING))
NEWS: Final = timedelta(hours=1)
"""What is older is no news: who subscribes now is not told of yesterday's update."""


@dataclass(frozen=True, slots=True)
class Due:
    """One message to one recipient.

    key: under which it is remembered; empty for one that is not. templates: their texts are sent together.
    """

    key: str
    trigger: str
    reason: str
    type: str
    service: str
    recipient: str
    templates: tuple[str, ...]
    rollout: Obj

    @property
    def id(self) -> str:
        """The same for the same message, whoever sends it, so that a receiver can drop a repetition."""
        return sha256(f"{self.rollout['metadata']['uid']}\0{self.key}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Decision:
    """due: to be sent. ended: remembered keys of conditions that no longer hold, to be forgotten. troubles: what keeps
    a subscription of this Rollout from being served, for people."""

    due: tuple[Due, ...] = ()
    ended: frozenset[str] = frozenset()
    troubles: tuple[str, ...] = ()


def subscribes(rollout: Obj, settings: Settings | None) -> bool:
    """Whether anybody may want to hear of this Rollout. Without settings, of its annotations alone."""
    if any(key.startswith(PREFIX) for key in rollout["metadata"].get("annotations") or ()):
        return True
    return bool(settings and settings.everywhere)


def decide(settings: Settings, rollout: Obj, runs: Sequence[Obj], now: datetime) -> Decision:
    """What a Rollout's state makes due now."""
    wanted, troubles = _destinations(settings, rollout)
    if not wanted:
        return Decision(troubles=troubles)
    told = remembered(rollout)
    found = [o for o in occasions(rollout, runs) if now - o.at <= NEWS]
    due: dict[str, Due] = {}
    ended: set[str] = set()
    for trigger, destinations in wanted.items():
        conditions = settings.triggers.get(trigger)
        if conditions is None:
            troubles = (*troubles, f"trigger {trigger} is not in ConfigMap {CONFIG_MAP}, so nothing is sent for it")
            continue
        for message in _of_occasions([o for o in found if o.trigger == trigger], conditions, destinations):
            due.setdefault(message.key, message)
        if trigger not in _LASTING:
            made, over, wrong = _of_state(trigger, conditions, destinations, rollout)
            troubles = (*troubles, *wrong)
            ended |= over & told.keys()
            for message in made:
                due.setdefault(message.key, message)
    fresh = tuple(message for message in due.values() if message.key not in told)
    return Decision(fresh, frozenset(ended), tuple(dict.fromkeys(troubles)))


def decide_event(settings: Settings, rollout: Obj, event: Event) -> tuple[Due, ...]:
    """What an event makes due that leaves no trace in the state. Not remembered, so told at most once."""
    if shows(rollout, event.reason):
        return ()
    trigger = trigger_of(event.reason)
    lasting = trigger in _LASTING  # Of the others, those with a `when` are told from the state.
    wanted, _ = _destinations(settings, rollout)
    then = rollout if event.step is None else at_step(rollout, event.step)
    return tuple(
        Due("", trigger, event.reason, event.type, service, recipient, condition.send, then)
        for condition in settings.triggers.get(trigger) or ()
        if (_holds(condition, then) if lasting else condition.when is None)
        for service, recipient in wanted.get(trigger, ())
    )


def remembered(rollout: Obj) -> dict[str, int]:
    """What was told of a Rollout already: keys, and when (seconds since 1970)."""
    try:
        found = json.loads((rollout["metadata"].get("annotations") or {}).get(names.NOTIFIED) or "{}")
    except ValueError:
        return {}
    return {k: v for k, v in found.items() if isinstance(v, int)} if isinstance(found, dict) else {}


def remember(rollout: Obj, told: Iterable[str], ended: Iterable[str], now: datetime) -> str | None:
    """The annotation's new text; None to take it away."""
    known = remembered(rollout)
    for key in ended:
        known.pop(key, None)
    known |= dict.fromkeys(told, int(now.timestamp()))
    newest = sorted(known.items(), key=lambda item: item[1])[-_REMEMBERED:]
    return json.dumps(dict(newest), separators=(",", ":"), sort_keys=True) if newest else None


def _of_occasions(
    found: Sequence[Occasion], conditions: Sequence[Condition], destinations: Sequence[tuple[str, str]]
) -> Iterator[Due]:
    for occasion in found:
        for place, condition in enumerate(conditions):
            if not _holds(condition, occasion.rollout):
                continue
            once = _once(condition, occasion.rollout) or occasion.once
            trigger, reason, type_, then = occasion.trigger, occasion.reason, occasion.type, occasion.rollout
            for to in destinations:
                key = _key(trigger, place, condition, to, once)
                yield Due(key, trigger, reason, type_, *to, condition.send, then)


def _of_state(
    trigger: str, conditions: Sequence[Condition], destinations: Sequence[tuple[str, str]], rollout: Obj
) -> tuple[list[Due], set[str], list[str]]:
    """What conditions with a `when` make due; the keys of those that don't hold; and what is wrong with them.

    A condition without a `when` waits for an event.
    """
    made: list[Due] = []
    over: set[str] = set()
    wrong = []
    for place, condition in enumerate(conditions):
        if condition.when is None:
            continue
        try:
            holds = condition.when.value({"rollout": rollout}) is True
            once = _text(condition.once_per.value({"rollout": rollout})) if holds and condition.once_per else ""
        except ConditionError as error:
            # A field that is not there yet is how things are at the beginning of a Rollout's life.
            if " has no field " not in str(error):
                wrong.append(f"trigger {trigger}[{place}]: {error}")
            continue
        keys = {to: _key(trigger, place, condition, to, once) for to in destinations}
        if holds:
            made += (Due(key, trigger, trigger, "Normal", *to, condition.send, rollout) for to, key in keys.items())
        elif condition.once_per is None:
            over |= set(keys.values())
    return made, over, wrong


def _holds(condition: Condition, rollout: Obj) -> bool:
    """Of an event's trigger: one without `when` always holds."""
    try:
        return condition.when is None or condition.when.value({"rollout": rollout}) is True
    except ConditionError:
        return False


def _once(condition: Condition, rollout: Obj) -> str:
    try:
        return _text(condition.once_per.value({"rollout": rollout})) if condition.once_per else ""
    except ConditionError:
        return ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _key(trigger: str, place: int, condition: Condition, to: tuple[str, str], once: str) -> str:
    """As Argo's notifications build it, so that what either has told is known to the other."""
    when = condition.when.text if condition.when else ""
    digest = base64.urlsafe_b64encode(sha1(when.encode(), usedforsecurity=False).digest()).decode().rstrip("=")
    key = f"{trigger}:[{place}].{digest}:{to[0]}:{to[1]}"
    return f"{once}:{key}" if once else key


def _destinations(settings: Settings, rollout: Obj) -> tuple[dict[str, list[tuple[str, str]]], tuple[str, ...]]:
    """Per trigger, to which service and recipient; and the subscriptions that can't be served."""
    found: dict[str, list[tuple[str, str]]] = {}
    troubles: dict[str, None] = {}
    for trigger, service, recipient in _subscriptions(settings, rollout):
        if service not in settings.services:
            fault = settings.refused.get(service)
            troubles[str(fault) if fault else f"service {service!r} is not in ConfigMap {CONFIG_MAP}"] = None
        elif (service, recipient) not in found.setdefault(trigger, []):
            found[trigger].append((service, recipient))
    return found, tuple(troubles)


def _subscriptions(settings: Settings, rollout: Obj) -> Iterator[tuple[str, str, str]]:
    metadata = rollout["metadata"]
    for subscription in settings.everywhere:
        if subscription.selector.picks(metadata.get("labels") or {}):
            for trigger in subscription.triggers or settings.default_triggers:
                yield from ((trigger, service, recipient) for service, recipient in subscription.recipients)
    for annotation, text in (metadata.get("annotations") or {}).items():
        if annotation.startswith(_SUBSCRIBE):
            trigger, _, service = annotation.removeprefix(_SUBSCRIBE).partition(".")
            if not service:
                trigger, service = "", trigger
            for recipient in _recipients(text):
                yield from ((one, service, recipient) for one in _triggers(settings, trigger, service))
        elif annotation in _AS_YAML:
            yield from _yaml_subscriptions(settings, text)


def _triggers(settings: Settings, trigger: str, service: str) -> Sequence[str]:
    return (trigger,) if trigger else settings.service_triggers.get(service, settings.default_triggers)


def _recipients(text: str) -> list[str]:
    return [part for part in map(str.strip, text.split(";")) if part] or [""]


def _yaml_subscriptions(settings: Settings, text: str) -> Iterator[tuple[str, str, str]]:
    try:
        items = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, Mapping):
            continue
        for destination in item.get("destinations") or ():
            service = str(destination.get("service", "")) if isinstance(destination, Mapping) else ""
            recipients = destination.get("recipients") or [""] if service else ()
            for trigger in item.get("trigger") or ("",):
                for recipient in recipients:
                    yield from ((one, service, str(recipient)) for one in _triggers(settings, str(trigger), service))
