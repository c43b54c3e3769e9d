"""Label selectors as Kubernetes writes them: `app=shop,team in (a, b),!legacy`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_TERM: Final = re.compile(
    r"""\s*(?:
    (?P<absent>!)\s*(?P<missing>[\w./-]+)
    |(?P<key>[\w./-]+)\s*(?:(?P<sign>==|=|!=)\s*(?P<value>[\w.-]*)|\s(?P<set>in|notin)\s*\((?P<values>[^)]*)\))?
    )\s*(?:,|\Z)""",
    re.VERBOSE,
)


class SelectorError(Exception):
    """A text that is no selector."""


class Selector:
    """A selector; the empty one picks everything."""

    __slots__ = ("_terms",)

    def __init__(self, text: str) -> None:
        self._terms: list[tuple[str, frozenset[str] | None, bool]] = []
        at = 0
        while at < len(text):
            found = _TERM.match(text, at)
            if found is None:
                raise SelectorError(f"can't be read from character {at + 1} on; write key=value, key in (a, b) or !key")
            at = found.end()
            self._terms.append(_term(found))

    def picks(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels are meant. As in Kubernetes, `!=` and `notin` pick what lacks the label too."""
        return all(
            ((key in labels) if values is None else (labels.get(key) in values)) == wanted
            for key, values, wanted in self._terms
        )


def _term(found: re.Match[str]) -> tuple[str, frozenset[str] | None, bool]:
    if found["absent"]:
        return found["missing"], None, False
    if found["sign"]:
        return found["key"], frozenset((found["value"],)), found["sign"] != "!="
    if found["set"]:
        return found["key"], frozenset(v.strip() for v in found["values"].split(",")), found["set"] == "in"
    return found["key"], None, True
