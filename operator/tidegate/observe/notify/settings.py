"""What the ConfigMap and the Secret say: services, triggers, templates, subscriptions.

What can't be understood or done is a `Fault` that names the ConfigMap's key and concerns that key alone. A fault's text
never holds a value: of what is written in either object, only names and positions are repeated.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import yaml

from tidegate.api import names
from tidegate.core.analysis.conditions import ConditionError, Expression, compile_expression
from tidegate.observe.notify.builtin import TEMPLATES, TRIGGERS
from tidegate.observe.notify.go_syntax import TemplateError
from tidegate.observe.notify.go_templates import Template
from tidegate.observe.notify.selectors import Selector, SelectorError

CONFIG_MAP: Final = names.NOTIFICATION_CONFIG_MAP
SECRET: Final = names.NOTIFICATION_SECRET

NAMES: Final = ("rollout",)
"""What triggers see."""

_REFERENCE: Final = re.compile(r"\$([-\w.]+)")
_ITEMS: Final = 500
"""Keys of the ConfigMap that are looked at."""

T = TypeVar("T")


class SettingError(Exception):
    """A key of the ConfigMap that can't be used. The message says why, without values."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one key of the ConfigMap."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"ConfigMap {CONFIG_MAP}, data[{self.key}]: {self.message}"


@dataclass(frozen=True, slots=True)
class Service:
    """A way to reach people. type: slack, webhook, …; options: as in the ConfigMap, secrets filled in."""

    type: str
    name: str
    options: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a trigger. when, once_per: None where none is written."""

    send: tuple[str, ...]
    when: Expression | None
    once_per: Expression | None


@dataclass(frozen=True, slots=True)
class Wording:
    """A template's texts by where they go, each a path such as ("message",) or ("webhook", "hook", "body")."""

    texts: Mapping[tuple[str, ...], Template]
    plain: Mapping[tuple[str, ...], Any]
    """What is no text, as it is written."""


@dataclass(frozen=True, slots=True)
class Everywhere:
    """A subscription of all Rollouts, or of those with certain labels."""

    recipients: tuple[tuple[str, str], ...]
    triggers: tuple[str, ...]
    selector: Selector


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is set up. An absent ConfigMap is the same as an empty one.

    secrets: every value of the Secret, and what of a service's options must not be shown either.
    faults: by the ConfigMap's key; services that are refused are in `refused` by their name.
    """

    services: Mapping[str, Service] = field(default_factory=dict)
    triggers: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    templates: Mapping[str, Wording] = field(default_factory=dict)
    default_triggers: tuple[str, ...] = ()
    service_triggers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    everywhere: tuple[Everywhere, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, Fault] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


Check = Callable[[Service], None]


def read_settings(
    config_map: Mapping[str, Any] | None, secret: Mapping[str, Any] | None, *, check: Check = lambda _: None
) -> Settings:
    """The settings of a ConfigMap and a Secret as the server has them. check: raises SettingError for a service that
    can't be used."""
    data = dict(sorted(((config_map or {}).get("data") or {}).items())[:_ITEMS])
    reader = _Reader({**TEMPLATES, **TRIGGERS, **data}, _secrets(secret), check)
    return reader.settings()


class _Reader:
    def __init__(self, data: Mapping[str, str], secrets: Mapping[str, str], check: Check) -> None:
        self._data = data
        self._secrets = secrets
        self._check = check
        self._faults: list[Fault] = []

    def settings(self) -> Settings:
        services, refused = self._services()
        return Settings(
            services=services,
            refused=refused,
            templates=dict(self._each("template.", _wording)),
            triggers=dict(self._each("trigger.", _conditions)),
            service_triggers=dict(self._each("defaultTriggers.", _words)),
            default_triggers=self._one("defaultTriggers", _words, ()),
            everywhere=self._one("subscriptions", _everywhere, ()),
            context=self._one("context", _context, {}),
            faults=(*refused.values(), *self._faults),
        )

    def _services(self) -> tuple[dict[str, Service], dict[str, Fault]]:
        found: dict[str, Service] = {}
        refused: dict[str, Fault] = {}
        for key, text in self._data.items():
            if not key.startswith("service."):
                continue
            type_, _, name = key.removeprefix("service.").partition(".")
            name = name or type_
            try:
                service = Service(type_, name, self._filled(_mapping(_yaml(text))))
                self._check(service)
            except SettingError as error:
                refused[name] = Fault(key, str(error))
            else:
                found[name] = service
        return found, refused

    def _filled(self, value: Any) -> Any:
        """The value with `$key` replaced by what the Secret has; after YAML was read, so that no secret is taken for
        syntax."""
        if isinstance(value, str):
            return _REFERENCE.sub(self._secret, value)
        if isinstance(value, Mapping):
            return {key: self._filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        return value

    def _secret(self, found: re.Match[str]) -> str:
        if found[1] not in self._secrets:
            raise SettingError(f"Secret {SECRET} has no key {found[1]}")
        return self._secrets[found[1]]

    def _each(self, prefix: str, read: Callable[[Any], T]) -> Iterator[tuple[str, T]]:
        for key, text in self._data.items():
            if key.startswith(prefix):
                try:
                    yield key.removeprefix(prefix), read(_yaml(text))
                except SettingError as error:
                    self._faults.append(Fault(key, str(error)))

    def _one(self, key: str, read: Callable[[Any], T], otherwise: T) -> T:
        if key not in self._data:
            return otherwise
        try:
            return read(_yaml(self._data[key]))
        except SettingError as error:
            self._faults.append(Fault(key, str(error)))
            return otherwise


def _secrets(secret: Mapping[str, Any] | None) -> dict[str, str]:
    found = {}
    for key, value in ((secret or {}).get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value, validate=True).decode().removesuffix("\n")
        except (binascii.Error, UnicodeDecodeError):
            continue  # Not a text, so no service can mean it; one that names it is told that there is none.
    return found


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise SettingError(f"is not YAML{where}") from None
    except (ValueError, RecursionError):
        raise SettingError("is not YAML") from None


def _mapping(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SettingError("must be a mapping")
    return {str(key): inner for key, inner in value.items()}


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise SettingError("must be a list")
    return value


def _words(value: Any) -> tuple[str, ...]:
    return tuple(map(str, _list(value)))


def _context(value: Any) -> Mapping[str, str]:
    return {key: str(inner) for key, inner in _mapping(value).items()}


def _conditions(value: Any) -> tuple[Condition, ...]:
    return tuple(_condition(place, _mapping(item)) for place, item in enumerate(_list(value)))


def _condition(place: int, item: Mapping[str, Any]) -> Condition:
    unknown = sorted(item.keys() - {"send", "when", "oncePer", "description"})
    if unknown:
        raise SettingError(f"[{place}].{unknown[0]} is no field of a trigger")
    return Condition(
        send=_words(item.get("send") or []),
        when=_expression(place, "when", item),
        once_per=_expression(place, "oncePer", item),
    )


def _expression(place: int, name: str, item: Mapping[str, Any]) -> Expression | None:
    text = item.get(name)
    if text is None or text == "":
        return None
    try:
        return compile_expression(str(text), NAMES)
    except ConditionError as error:
        raise SettingError(f"[{place}].{name}: {error}") from None


def _wording(value: Any) -> Wording:
    texts: dict[tuple[str, ...], Template] = {}
    plain: dict[tuple[str, ...], Any] = {}
    for path, leaf in _leaves(_mapping(value), ()):
        if not isinstance(leaf, str):
            plain[path] = leaf
            continue
        try:
            texts[path] = Template(leaf)
        except TemplateError as error:
            raise SettingError(f"{'.'.join(path)}: {error}") from None
    return Wording(texts, plain)


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, inner in value.items():
        here = (*path, str(key))
        if isinstance(inner, Mapping) and len(here) < 4:
            yield from _leaves(inner, here)
        else:
            yield here, inner


def _everywhere(value: Any) -> tuple[Everywhere, ...]:
    return tuple(_subscription(place, _mapping(item)) for place, item in enumerate(_list(value)))


def _subscription(place: int, item: Mapping[str, Any]) -> Everywhere:
    try:
        selector = Selector(str(item.get("selector") or ""))
    except SelectorError as error:
        raise SettingError(f"[{place}].selector: {error}") from None
    named = (str(recipient).partition(":") for recipient in _list(item.get("recipients") or []))
    recipients = tuple((service, recipient) for service, _, recipient in named)
    return Everywhere(recipients, _words(item.get("triggers") or []), selector)
