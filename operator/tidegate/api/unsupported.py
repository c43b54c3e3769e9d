"""Fields of the contract that this version of Tidegate does not act on, so that they are refused and not
ignored.

A field that is silently passed over is the worst answer: a router that nobody asks, a plugin
that never runs, and a Rollout that looks healthy. A value that asks for nothing (Go writes many of those, and
people write out defaults) is harmless and is accepted.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, get_args

from tidegate.api.analysis import (
    MetricProvider,
    ValueFrom,
)
from tidegate.api.providers import Authentication
from tidegate.api.rollout import (
    CanaryStep,
    TrafficRouting,
)


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """One field that is known but not acted on: which of its values ask for nothing, and what to do
    instead."""

    harmless: Callable[[Any], bool]
    instead: str = ""

    @property
    def message(self) -> str:
        return "is not supported by this version of Tidegate" + (f": {self.instead}" if self.instead else "")


def never(value: Any) -> bool:
    """For a field whose presence alone asks for something, such as a kind of step."""
    return value is None


def when_empty(value: Any) -> bool:
    """For a field that asks for something only by its content. Go writes emptiness as `{"oauth2": {}}`."""
    return not value or (
        isinstance(value, dict)
        and all(not inner or (isinstance(inner, dict) and not any(inner.values())) for inner in value.values())
    )


def when(*values: Any) -> Callable[[Any], bool]:
    """For a field with a default that is not empty. Told apart from True, which equals 1 in Python."""
    return lambda value: value is None or any(value == v and type(value) is type(v) for v in values)


_REFUSED: Final = NotBuilt(never)
_CONTENT: Final = NotBuilt(when_empty)
_ONLY_ISTIO: Final = NotBuilt(never, "the only router is istio")

NOT_BUILT: Final[Mapping[type, Mapping[str, NotBuilt]]] = {
    CanaryStep: {
        "plugin": _REFUSED,
    },
    TrafficRouting: {
        "nginx": _ONLY_ISTIO,
        "alb": _ONLY_ISTIO,
        "smi": _ONLY_ISTIO,
        "ambassador": _ONLY_ISTIO,
        "appMesh": _ONLY_ISTIO,
        "traefik": _ONLY_ISTIO,
        "apisix": _ONLY_ISTIO,
        "plugins": NotBuilt(when_empty, "the only router is istio"),
    },
    ValueFrom: {"fieldRef": NotBuilt(never, "name the field in the args of the Rollout's analysis")},
    MetricProvider: {
        "plugin": NotBuilt(when_empty, "plugins of Argo Rollouts can't be loaded; ask prometheus or web"),
    },
    Authentication: {"sigv4": NotBuilt(when_empty, "use oauth2 or basicAuth, or a proxy that signs requests for AWS")},
}


@cache
def not_built(model: type) -> Mapping[str, NotBuilt]:
    """The refused fields of a model, with those of the models that it extends."""
    found: dict[str, NotBuilt] = {}
    for base in reversed(model.__mro__):
        found |= NOT_BUILT.get(base, {})
    return found


@cache
def known_fields(model: type) -> Mapping[str, type | None]:
    """The fields of a model by their JSON names, with the model of their value (or of its items), if it has
    one."""
    fields = getattr(model, "__pydantic_fields__", {})
    return {info.alias or name: _model_of(info.annotation) for name, info in fields.items()}


def refusal(model: type, field: str, parent: str) -> str:
    """Why a field that the model does not have is refused."""
    refused = not_built(model).get(field)
    if refused is not None:
        return refused.message
    close = difflib.get_close_matches(field, [*known_fields(model), *not_built(model)], n=1, cutoff=0.6)
    return f"is not a field of {parent}" + (f"; did you mean {close[0]}?" if close else "")


def without_harmless(model: type, raw: Any) -> Any:
    """A copy of an object's JSON without nulls and without refused fields that ask for nothing.

    Only what the models know is walked through, so an object of any depth is safe.
    """
    if isinstance(raw, list):
        return [without_harmless(model, item) for item in raw]
    if not isinstance(raw, dict):
        return raw
    fields, refused = known_fields(model), not_built(model)
    kept: dict[str, Any] = {}
    for name, value in raw.items():
        if value is None or (name in refused and refused[name].harmless(value)):
            continue
        inner = fields.get(name)
        kept[name] = value if inner is None else without_harmless(inner, value)
    return kept


def _model_of(annotation: Any) -> type | None:
    if hasattr(annotation, "__pydantic_fields__"):
        return annotation  # type: ignore[no-any-return]
    return next(filter(None, map(_model_of, get_args(annotation))), None)
