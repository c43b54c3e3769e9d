"""Sessions that the documentation shows: commands behind `$ `, each with what it printed.

What is another in every run is left out of the comparison: names that the cluster makes up, times and ages, how often
something was measured, and the widths of columns, which follow from these. What a command prints without a cluster has
to be the same to the letter.
"""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import Final

OFFLINE: Final = ("tidegate lint ", "tidegate migrate -f ", "tidegate analysis plan ")

MARK: Final = "\x1e"
_TELLING: Final = f"mark() {{ local code=$?; printf '{MARK}'; return $code; }}\nset +e\n"

_MADE_UP: Final = "[bcdfghjklmnpqrstvwxz2456789]"
_OTHER_EACH_TIME: Final = [
    (rf"(-{_MADE_UP}{{8,10}}-){_MADE_UP}{{5}}\b", r"\1?????"),
    (r"\b\d{4}-\d\d-\d\d\b", "<date>"),
    (r"\b\d\d:\d\d:\d\d\b", "<time>"),
    (r"(?<![\w.])(?:\d+[dhm])*\d+[dhms]\b", "<age>"),
    (r"✔ \d+", "✔ ?"),
    (r"(?<=\S) {2,}", "  "),
    (r" +$", ""),
]


def steps(text: str) -> list[tuple[str, str]]:
    """Each command of a session with what it printed."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return [(command, "\n".join(printed)) for command, printed in found]


def script(text: str) -> str:
    """A session as a program whose output `compare` takes; a command may fail, and `$?` is that of the one before."""
    return _TELLING + "".join(f"mark\n{command}\n" for command, _ in steps(text)) + "exit 0\n"


def compare(text: str, printed: str) -> str:
    """How what was printed differs from the page, or nothing."""
    told = [part.removesuffix("\n") for part in printed.split(MARK)[1:]]
    shown = steps(text)
    assert len(told) == len(shown), printed
    return "\n".join(filter(None, (_differs(*step, now) for step, now in zip(shown, told, strict=True))))


def _differs(command: str, page: str, now: str) -> str:
    exact = command.startswith(OFFLINE)
    if (page == now) if exact else (normal(page) == normal(now)):
        return ""
    return "\n".join([f"$ {command}", *unified_diff(page.splitlines(), now.splitlines(), "page", "now", lineterm="")])


def normal(text: str) -> str:
    """What is printed, without what is another each time."""
    for pattern, instead in _OTHER_EACH_TIME:
        text = re.sub(pattern, instead, text, flags=re.M)
    return text
