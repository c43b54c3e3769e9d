"""The `tidegate` command."""

from __future__ import annotations

import os
import sys

import typer

from tidegate import __version__
from tidegate.cli.dora import dora

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Progressive delivery for Kubernetes.")


app.command()(dora)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    help="Run the operator. `tidegate run --help` lists its flags.",
)
def run(context: typer.Context) -> None:
    """Become the operator's process: what the command line needed does not stay in its memory."""
    # A few threads ask Prometheus; with glibc's default each could keep a heap of its own.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.execv(sys.executable, [sys.executable, "-m", "tidegate.shell", *context.args])  # noqa: S606


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Entry point."""
    app()
