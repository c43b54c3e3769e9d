"""Completion in the shells themselves: the script is read as the documentation says, and Tab is pressed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.paths import REPOSITORY
from tidegate.cli.completion import SHELLS

START = {
    "bash": (
        ["--norc", "--noprofile", "-i"],
        "bind 'set show-all-if-ambiguous on'; source <(tidegate completion bash)",
    ),
    "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -D; source <(tidegate completion zsh)"),
}
TYPED = [("tidegate prom", {"promote"}), ("tidegate completion ", set(SHELLS)), ("tidegate get --kube", {"kubeconfig"})]
PATIENCE = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with nothing but the program in it."""
    program = tmp_path / "tidegate"
    path = f"import sys; sys.path.insert(0, {str(REPOSITORY / 'operator')!r})"
    program.write_text(f"#!{sys.executable}\n{path}\nfrom tidegate.cli.main import main\nmain()\n")
    program.chmod(0o755)
    return tmp_path


def environ(home: Path) -> dict[str, str]:
    return {"PATH": f"{home}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8"}


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(
            f"COMPLETION WAS NOT TRIED IN {name.upper()}: it is not on the PATH (Debian: apt-get install {name})"
        )
    return found


class Typing:
    """An interactive shell on a terminal of its own."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def until(self, words: set[str]) -> None:
        """Wait until all of these have been written since the last call."""
        seen, until = "", time.monotonic() + PATIENCE
        while not all(word in seen for word in words):
            ready, _, _ = select.select([self._terminal], [], [], max(0, until - time.monotonic()))
            assert ready, f"{words} not in {seen!r}"
            seen += os.read(self._terminal, 4096).decode(errors="replace")


@contextmanager
def typing(command: list[str], env: dict[str, str]) -> Iterator[Typing]:
    """Not by a fork of this process, which may have threads."""
    terminal, its_end = pty.openpty()
    child = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command],
        cwd=env["HOME"],
        env=env,
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
    )
    os.close(its_end)
    try:
        yield Typing(terminal)
    finally:
        os.close(terminal)  # hangs up
        child.wait(30)


@pytest.mark.parametrize(("typed", "expected"), TYPED)
@pytest.mark.parametrize("name", START)
def test_tab_completes_in(name: str, typed: str, expected: set[str], home: Path) -> None:
    flags, reading = START[name]
    with typing([shell(name), *flags], environ(home)) as person:
        person.type(f"{reading}; echo rea''dy\n")
        person.until({"ready"})
        person.type(f"{typed}\t")
        person.until(expected)


def test_tab_completes_in_fish(home: Path) -> None:
    folder = home / ".config" / "fish" / "completions"
    folder.mkdir(parents=True)

    def run(*command: str) -> str:
        return subprocess.run(command, env=environ(home), capture_output=True, text=True, check=True, cwd=home).stdout

    (folder / "tidegate.fish").write_text(run(str(home / "tidegate"), "completion", "fish"))
    for typed, expected in TYPED:
        offered = {
            line.split("\t")[0].lstrip("-") for line in run(shell("fish"), "-c", f"complete -C '{typed}'").split("\n")
        }
        assert offered - {""} == expected
