"""Secrets that bear a mark, and the search for it in whatever people get to see."""

from __future__ import annotations

import base64
import re
from typing import Final

MARK: Final = "pl4nted"


def planted(name: str) -> str:
    """A secret with every sign that is written differently in URLs, JSON, HTML and Python."""
    return f"{MARK}-{name}\"'|a/b+c=%41\\&<{MARK}"


def plain(name: str) -> str:
    """A secret that can stand in any place of a URL."""
    return f"{MARK}-{name}-{MARK}"


def sent(name: str, told: str) -> bool:
    """Whether a secret is in what a server was told, however its signs are written there."""
    return re.search(rf"{MARK}-{name}(-{MARK}|\\*\"|%22)", told) is not None


def _in_base64(text: str) -> set[str]:
    """What base64 makes of a text, wherever in a longer one it stands: the part that hangs on nothing else."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text.encode()).decode().rstrip("=")
        first = -(-8 * before // 6)
        last = (8 * (before + len(text))) // 6
        found.add(encoded[first:last])
    return found


_SOUGHT: Final = re.compile("|".join(map(re.escape, (MARK, *sorted(_in_base64(MARK))))))


def leaks(text: str, *others: str) -> list[str]:
    """Every place where a secret, or one of `others`, shows, with what stands around it."""
    sought = re.compile("|".join([_SOUGHT.pattern, *map(re.escape, others)])) if others else _SOUGHT
    return [text[max(0, match.start() - 90) : match.end() + 60] for match in sought.finditer(text)]
