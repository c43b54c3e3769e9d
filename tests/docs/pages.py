"""The pages of the documentation, read as a reader meets them: fenced blocks, headings, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.paths import REPOSITORY

_FENCE = re.compile(r"( *)(`{3,})([a-z]*)\s*$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. language: what stands behind the fence: sh is run, console shows a session, text is neither."""

    page: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line, by which lists name it."""
        return self.text.splitlines()[0] if self.text.strip() else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page that people read, as paths below the repository."""
    found = [*REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("examples/**/README.md"), *REPOSITORY.glob("*.md")]
    return sorted(str(path.relative_to(REPOSITORY)) for path in found)


def read(page: str) -> str:
    return Path(REPOSITORY, page).read_text()


def blocks(page: str) -> list[Block]:
    return list(_blocks(page))


def _blocks(page: str) -> Iterator[Block]:
    begun: tuple[int, str, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(read(page).splitlines(), 1):
        match = _FENCE.match(line)
        if begun is None:
            if match:
                begun, lines = (number, match[1], match[2], match[3]), []
            elif line.lstrip().startswith("```"):
                raise ValueError(f"{page}:{number}: a fence that is not understood: {line}")
        elif match and match[2] == begun[2] and not match[3]:
            yield Block(page, begun[0], begun[3], "\n".join(lines))
            begun = None
        else:
            lines.append(line.removeprefix(begun[1]))
    if begun is not None:
        raise ValueError(f"{page}:{begun[0]}: the block does not end")


def prose(page: str) -> str:
    """A page without its blocks and its spans of code."""
    text = re.sub(r"^ *```.*?^ *```\s*$", "", read(page), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "``", text)


def links(page: str) -> list[str]:
    """Where a page's links and images lead, as they are written."""
    return _LINK.findall(prose(page))


def anchors(page: str) -> set[str]:
    """What can be linked to within a page: its headings, named as Markdown's table of contents names them."""
    text = re.sub(r"^ *```.*?^ *```\s*$", "", read(page), flags=re.M | re.S)
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?) *$", text, re.M):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title)
        found.add(re.sub(r"[^\w\s-]", "", plain).strip().lower().replace(" ", "-"))
    return found
