"""Verbs that ask something of a Rollout, an AnalysisRun or an Experiment."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tidegate.cli.options import OutputOption, RolloutArgument, cluster_verb, complete_runs, rollout_name, run_named
from tidegate.cli.words import ROLLOUT_AND_EXPERIMENT_WORDS, Where, named

PANEL: Final = "Ask of a Rollout"

ask_verbs = typer.Typer()
set_verbs = typer.Typer(no_args_is_help=True, help="Change a field of a Rollout: its images.")


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def promote(
    where: Where,
    rollout: RolloutArgument,
    full: Annotated[bool, typer.Option("--full", help="Take the new version now: no step is waited for.")] = False,
    output: OutputOption = None,
) -> None:
    """Let a paused update go on, or pass the step that it waits at."""
    from tidegate.cli import changing
    from tidegate.core import asking

    request = asking.promote_full if full else asking.promote
    done = "is promoted in full" if full else "goes on from {step}"
    changing.ask(where, rollout_name(rollout), request, done, output)


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def skip(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Skip the present step."""
    from tidegate.cli import changing
    from tidegate.core import asking

    changing.ask(where, rollout_name(rollout), asking.skip, "skips {step}", output)


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def pause(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Hold an update where it is."""
    from tidegate.cli import changing
    from tidegate.core import asking

    done = "is held at {step}; `tidegate promote {name}` lets it go on"
    changing.ask(where, rollout_name(rollout), asking.pause, done, output)


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def abort(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Undo the update now: traffic goes back to the stable version."""
    from tidegate.cli import changing
    from tidegate.core import asking

    done = "is aborted: traffic goes back to the stable version; `tidegate retry {name}` tries again"
    changing.ask(where, rollout_name(rollout), asking.abort, done, output)


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def retry(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Try an aborted update again. `tidegate retry experiment NAME` runs an Experiment again."""
    from tidegate.cli import changing
    from tidegate.core import asking

    kind, name = named(rollout, kinds=ROLLOUT_AND_EXPERIMENT_WORDS)
    if kind == "Experiment":
        changing.retry_experiment(where, name, output)
    else:
        changing.ask(where, name, asking.retry, "tries the update again from its first step", output)


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def undo(
    where: Where,
    rollout: RolloutArgument,
    to_revision: Annotated[
        int, typer.Option("--to-revision", min=0, help="Which revision; the one before by default.", show_default=False)
    ] = 0,
    output: OutputOption = None,
) -> None:
    """Go back to an earlier revision's pod template."""
    from tidegate.cli import changing

    changing.undo(where, rollout_name(rollout), to_revision, output)


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def restart(
    where: Where,
    rollout: RolloutArgument,
    after: Annotated[str, typer.Option("--in", help="Not now but in, for example, 10m.", show_default=False)] = "",
    output: OutputOption = None,
) -> None:
    """Replace all pods, a few at once."""
    from tidegate.cli import changing

    changing.restart(where, rollout_name(rollout), after, output)


@set_verbs.command("image")
@cluster_verb
def set_image(
    where: Where,
    rollout: Annotated[
        list[str], typer.Argument(metavar="ROLLOUT CONTAINER=IMAGE...", help="`*=IMAGE` for every container.")
    ],
    output: OutputOption = None,
) -> None:
    """Run other images: starts an update."""
    from tidegate.cli import changing

    words = [word for word in rollout if "=" not in word]
    changing.set_image(where, rollout_name(words or [""]), rollout[len(words) :], output)


@ask_verbs.command(rich_help_panel=PANEL)
@cluster_verb
def terminate(
    where: Where,
    run: Annotated[
        list[str],
        typer.Argument(metavar="(analysisrun|experiment) NAME", help="What to end.", autocompletion=complete_runs),
    ],
    output: OutputOption = None,
) -> None:
    """End an AnalysisRun or an Experiment now."""
    from tidegate.cli import changing

    kind, name = run_named(run)
    changing.terminate(where, "Experiment" if kind == "Experiment" else "AnalysisRun", name, output)
