"""Parsed JSON that refuses to be changed: how tests prove that nobody mutates what the store shares."""

from __future__ import annotations

from typing import Any


class _FrozenDict(dict[str, Any]):
    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("objects in the store are shared and must not be changed: copy what you want to change")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


class _FrozenList(list[Any]):
    __slots__ = ()

    _refuse = _FrozenDict._refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = remove = reverse = sort = clear = pop = _refuse


def freeze(value: Any) -> Any:
    """A copy of parsed JSON that raises TypeError when anything in it is changed."""
    if isinstance(value, dict):
        return _FrozenDict({name: freeze(part) for name, part in value.items()})
    if isinstance(value, list):
        return _FrozenList([freeze(part) for part in value])
    return value
