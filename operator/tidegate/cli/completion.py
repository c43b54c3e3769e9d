"""Completion in the shell: the scripts."""

from __future__ import annotations

from typer.completion import get_completion_inspect_parameters, get_completion_script  # type: ignore[attr-defined]

from tidegate.cli.printing import echo
from tidegate.cli.told import Told
from tidegate.cli.words import COMPLETING, SHELLS


def show(shell: str) -> None:
    """Print the completion script of a shell. Raises Told."""
    if shell not in SHELLS:
        raise Told(f"there is no completion for {shell!r}; there is one for {', '.join(SHELLS)}")
    echo(get_completion_script(prog_name="tidegate", complete_var=COMPLETING, shell=shell))


def ready() -> None:
    """Make the library's own answers for shells known to it; it does so only for its own install options."""
    get_completion_inspect_parameters()
