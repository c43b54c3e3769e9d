"""Every `tidegate` that is written anywhere in the documentation is one that the program understands.

Blocks of shell are run on the lab (`test_commands`). Sessions and commands within a sentence are read here: the verb
and its options.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout

import pytest
import typer

from tests.docs.pages import blocks, pages, read
from tidegate.cli.main import app

_SPAN = re.compile(r"`(tidegate [^`\n]*)`")
_OTHER = ("tidegate run",)
"""The operator's own arguments are argparse's; tests/cli/test_starting.py has them."""


def commands() -> Iterator[tuple[str, str]]:
    for page in pages():
        if page == "CHANGELOG.md":
            continue  # tells of earlier versions too
        for block in blocks(page):
            if block.language == "console":
                lines = [
                    line for line in block.text.replace("\\\n", " ").splitlines() if line.startswith("$ tidegate ")
                ]
                yield from ((page, line.removeprefix("$ ")) for line in lines)
        sentences = re.sub(r"^ *```.*?^ *```", "", read(page), flags=re.M | re.S)
        yield from ((page, span) for span in _SPAN.findall(sentences))


def understood(words: list[str]) -> str:
    """What is wrong with a command's verb or options, or nothing. Asked for help, the program only reads."""
    try:
        with redirect_stdout(io.StringIO()):
            app([*words, "--help"], standalone_mode=False, prog_name="tidegate")
    except typer.TyperException as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_is_understood(page: str, command: str) -> None:
    if "…" in command or command.startswith(_OTHER):
        return
    words = shlex.split(command, comments=True)
    assert words[0] == "tidegate"
    assert understood(words[1:]) == "", f"{page}: {command}"


def test_a_command_that_does_not_exist_is_not_understood() -> None:
    assert understood(["promoted", "shop"])
    assert understood(["status", "shop", "--time", "30m"])
