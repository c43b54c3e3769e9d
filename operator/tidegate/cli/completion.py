"""Completion in the shell: the scripts, and what kubectl asks for `kubectl tidegate`."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Final

from typer.completion import get_completion_inspect_parameters, get_completion_script  # type: ignore[attr-defined]

from tidegate.cli.printing import echo
from tidegate.cli.told import Told

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_TIDEGATE_COMPLETE"


def show(shell: str) -> None:
    """Print the completion script of a shell. Raises Told."""
    if shell not in SHELLS:
        raise Told(f"there is no completion for {shell!r}; there is one for {', '.join(SHELLS)}")
    echo(get_completion_script(prog_name="tidegate", complete_var=VARIABLE, shell=shell))


def ready() -> None:
    """Make the library's own answers for shells known to it; it does so only for its own install options."""
    get_completion_inspect_parameters()


def for_kubectl() -> None:
    """The program `kubectl_complete-tidegate`, which kubectl runs to complete `kubectl tidegate …`.

    It gets the words after `tidegate`, the last of them unfinished, and answers with a candidate a line and a
    directive in cobra's form: 4, no file names.
    """
    from tidegate.cli.main import main  # noqa: PLC0415 - a cycle: the main program shows the scripts

    words = ["tidegate", *sys.argv[1:]]
    os.environ[VARIABLE] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join(words)
    os.environ["COMP_CWORD"] = str(len(words) - 1)
    sys.argv = ["tidegate"]
    try:
        main()
    finally:
        echo(":4")
        sys.stdout.flush()
