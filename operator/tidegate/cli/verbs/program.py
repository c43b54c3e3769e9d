"""Verbs about the program itself: run it as the operator, its version, the shell's completion."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from tidegate import __version__
from tidegate.cli.options import OutputOption, one_of, telling
from tidegate.cli.printing import Output
from tidegate.cli.words import SHELLS

PANEL: Final = "More"

program_verbs = typer.Typer()


@program_verbs.command(
    rich_help_panel=PANEL,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    help="Run the operator. `tidegate run --help` lists its flags.",
)
def run(context: typer.Context) -> None:
    """Become the operator's process: what the command line needed does not stay in its memory."""
    # A few threads ask Prometheus; with glibc's default each could keep a heap of its own.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.execv(sys.executable, [sys.executable, "-m", "tidegate.shell", *context.args])  # noqa: S606


@program_verbs.command(rich_help_panel=PANEL)
def version(output: OutputOption = None) -> None:
    """Print the version."""
    from tidegate.cli.printing import dump

    if output in (Output.json, Output.yaml):
        dump({"version": __version__}, output)
        return
    typer.echo(__version__)


@program_verbs.command(rich_help_panel=PANEL)
def completion(
    shell: Annotated[
        str,
        typer.Argument(metavar="|".join(SHELLS), help="Which shell.", autocompletion=one_of(*SHELLS)),
    ],
) -> None:
    """Print a shell's completion script: `source <(tidegate completion bash)`.

    `kubectl tidegate` is completed by kubectl's own script, which asks the program kubectl_complete-tidegate.
    """
    from tidegate.cli import completion as scripts

    telling(lambda: scripts.show(shell))
