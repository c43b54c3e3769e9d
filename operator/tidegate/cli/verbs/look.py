"""Verbs that look: Rollouts and Experiments, how an update goes, what was released."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tidegate.cli.options import OutputOption, RolloutArgument, cluster_verb, one_of, rollout_name, seconds
from tidegate.cli.verbs.dashboard import dashboard
from tidegate.cli.words import ROLLOUT_AND_EXPERIMENT_WORDS, Where, named

PANEL: Final = "Look"

look_verbs = typer.Typer()


@look_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def get(
    where: Where,
    rollout: RolloutArgument,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep it up to date, until Ctrl-C.")] = False,
    output: OutputOption = None,
) -> None:
    """Show a Rollout as a tree: revisions, ReplicaSets, pods, analysis runs, weights.

    `tidegate get experiment NAME` shows an Experiment.
    """
    from tidegate.cli import experiments, looking

    kind, name = named(rollout, kinds=ROLLOUT_AND_EXPERIMENT_WORDS)
    show = experiments.get if kind == "Experiment" else looking.get
    show(where, name, output, watch)


@look_verbs.command("list", rich_help_panel=PANEL)
@cluster_verb
def list_(
    where: Where,
    everywhere: bool,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="[rollouts|experiments]", help="What to list.", autocompletion=one_of("rollouts", "experiments")
        ),
    ] = "rollouts",
    selector: Annotated[str, typer.Option("--selector", "-l", help="Label selector.", show_default=False)] = "",
    output: OutputOption = None,
) -> None:
    """List the Rollouts, or the Experiments, of a namespace, or of all (-A)."""
    from tidegate.cli import looking

    chosen, _ = named([kind, "any"], kinds=ROLLOUT_AND_EXPERIMENT_WORDS)
    looking.list_all(where, chosen, output, selector)


@look_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def status(
    where: Where,
    rollout: RolloutArgument,
    timeout: Annotated[
        str, typer.Option(help="End with 3 after this time, such as 30m; 0 looks once.", show_default=False)
    ] = "",
    output: OutputOption = None,
) -> None:
    """Follow an update to its end: for pipelines.

    Ends with 0 when the Rollout is healthy, 1 when the update was undone or is degraded, 2 when it waits for a person,
    3 at the time limit, and 4 when it could not be asked.
    """
    from tidegate.cli import looking

    raise typer.Exit(looking.status(where, rollout_name(rollout), output, seconds(timeout)))


@look_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def history(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Show the releases of a Rollout: outcome, duration, reason."""
    from tidegate.cli import looking

    looking.history(where, rollout_name(rollout), output)


@look_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def dora(
    where: Where,
    everywhere: bool,
    *,
    since: Annotated[str, typer.Option(help="How far back: 12h, 30d or 8w.")] = "30d",
    by_team: Annotated[bool, typer.Option("--by-team", help="One line for each team.")] = False,
    team_label: Annotated[str, typer.Option(help="The label of a Rollout that names its team.")] = "team",
    output: OutputOption = None,
) -> None:
    """Show the four DORA figures: deployments, lead time, failed changes, time to recover."""
    from tidegate.cli.dora import dora as show

    show(where, since, by_team, team_label, output)


look_verbs.command(rich_help_panel=PANEL)(dashboard)
