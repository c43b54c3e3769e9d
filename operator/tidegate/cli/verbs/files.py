"""Verbs that read files, and what other tools have left in a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from tidegate.cli.options import OutputOption, cluster_verb, telling
from tidegate.cli.words import Where

PANEL: Final = "Files and other tools"

file_verbs = typer.Typer()


@file_verbs.command(rich_help_panel=PANEL)
def lint(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files or folders; - for standard input.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    output: OutputOption = None,
) -> None:
    """Check manifests, offline: fields, references, steps, analyses. Ends with 1 where there are errors."""
    from tidegate.cli import linting

    raise typer.Exit(telling(lambda: linting.lint(files, output, strict=strict)))


@file_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def diff(
    where: Where,
    files: Annotated[
        list[str], typer.Option("--filename", "-f", help="File or folder; - for standard input.", show_default=False)
    ],
    output: OutputOption = None,
) -> None:
    """Show what applying files would change: a new revision or none, and the steps. Ends with 1 for any change."""
    from tidegate.cli import differing

    raise typer.Exit(differing.diff(where, files, output))


@file_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def migrate(
    where: Where,
    everywhere: bool,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--filename", "-f", help="File or folder; - for standard input; else the cluster.", show_default=False
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", help="Write the new manifests into this folder.", show_default=False)
    ] = None,
    output: OutputOption = None,
) -> None:
    """Say what changes for Rollouts of Argo Rollouts and Canaries of Flagger; `-o yaml` prints new manifests."""
    from tidegate.cli import migrating

    raise typer.Exit(migrating.migrate(where, files or [], output, write))
