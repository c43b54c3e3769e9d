"""Keeping what came from a Secret out of everything that people can read.

A server may send a credential back in an answer or an error, in another spelling, or cut off. So texts are
searched for every spelling in which a credential goes out, and the end of a text that was cut for its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "*****"
"""What stands in a credential's place; the word is Argo Rollouts'."""

_CUT: Final = "…"
_LEAST_TELLING: Final = 4
"""So much of a credential's beginning, at the end of a text that was cut, is hidden as well."""


def conceal(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets`."""
    for spelling in sorted({s for secret in secrets for s in _spellings(secret)}, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
        if text.endswith(_CUT):
            text = _without_beginning(text, spelling)
    return text


def _spellings(secret: str) -> set[str]:
    """A credential as it is, in JSON, in a URL and in a form; of one with a line break at its end, also without."""
    found = {secret, secret.strip()}
    for plain in tuple(found):
        found |= {json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1], quote(plain, safe="")}
        found |= {quote(plain), quote_plus(plain), repr(plain)[1:-1]}
    return found - {""}


def _without_beginning(text: str, spelling: str) -> str:
    shown = text.removesuffix(_CUT)
    for length in range(len(spelling) - 1, _LEAST_TELLING - 1, -1):
        if shown.endswith(spelling[:length]):
            return shown[:-length] + HIDDEN + _CUT
    return text
