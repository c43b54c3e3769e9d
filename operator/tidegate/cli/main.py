"""The `tidegate` command, which is also `kubectl tidegate`.

Only declarations: what a verb needs is imported when it runs, so that the answer to `--help` and to the shell's
completion does not wait for it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tidegate import __version__
from tidegate.cli.analysis import analysis_app
from tidegate.cli.dashboard import dashboard
from tidegate.cli.options import (
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    OutputOption,
    RolloutArgument,
    cluster_verb,
    complete_runs,
    one_of,
    rollout_name,
    run_named,
    seconds,
    telling,
)
from tidegate.cli.printing import Output
from tidegate.cli.told import FAILED
from tidegate.cli.words import ROLLOUT_AND_EXPERIMENT_WORDS, Where, named

_LOOK, _ASK, _FILES, _REST = "Look", "Ask of a Rollout", "Files and other tools", "More"


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Progressive delivery for Kubernetes: look at Rollouts, promote or undo them, check their manifests.",
    epilog="Exit codes: 0 done or yes, 1 no (undone, findings, changes), 2 waits for a person, 3 time limit, 4 failed.",
)
set_app = typer.Typer(no_args_is_help=True, help="Change a field of a Rollout: its images.")
app.add_typer(set_app, name="set", rich_help_panel=_ASK)
app.add_typer(analysis_app, name="analysis", rich_help_panel=_LOOK)


@app.callback()
def _before(
    context: typer.Context,
    namespace: NamespaceOption = "",
    in_context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    context.obj = {"namespace": namespace, "context": in_context, "kubeconfig": kubeconfig}


# -- look --------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=_LOOK)
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


@app.command("list", rich_help_panel=_LOOK)
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


@app.command(rich_help_panel=_LOOK)
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


@app.command(rich_help_panel=_LOOK)
@cluster_verb
def history(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Show the releases of a Rollout: outcome, duration, reason."""
    from tidegate.cli import looking

    looking.history(where, rollout_name(rollout), output)


@app.command(rich_help_panel=_LOOK)
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


app.command(rich_help_panel=_LOOK)(dashboard)


# -- ask ---------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=_ASK)
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


@app.command(rich_help_panel=_ASK)
@cluster_verb
def skip(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Skip the present step."""
    from tidegate.cli import changing
    from tidegate.core import asking

    changing.ask(where, rollout_name(rollout), asking.skip, "skips {step}", output)


@app.command(rich_help_panel=_ASK)
@cluster_verb
def pause(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Hold an update where it is."""
    from tidegate.cli import changing
    from tidegate.core import asking

    done = "is held at {step}; `tidegate promote {name}` lets it go on"
    changing.ask(where, rollout_name(rollout), asking.pause, done, output)


@app.command(rich_help_panel=_ASK)
@cluster_verb
def abort(where: Where, rollout: RolloutArgument, output: OutputOption = None) -> None:
    """Undo the update now: traffic goes back to the stable version."""
    from tidegate.cli import changing
    from tidegate.core import asking

    done = "is aborted: traffic goes back to the stable version; `tidegate retry {name}` tries again"
    changing.ask(where, rollout_name(rollout), asking.abort, done, output)


@app.command(rich_help_panel=_ASK)
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


@app.command(rich_help_panel=_ASK)
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


@app.command(rich_help_panel=_ASK)
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


@set_app.command("image")
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


@app.command(rich_help_panel=_ASK)
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


# -- files and other tools ---------------------------------------------------------------------------------------------


@app.command(rich_help_panel=_FILES)
def lint(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files or folders; - for standard input.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    output: OutputOption = None,
) -> None:
    """Check manifests, offline: fields, references, steps, analyses. Ends with 1 where there are errors."""
    from tidegate.cli import linting

    raise typer.Exit(telling(lambda: linting.lint(files, output, strict=strict)))


@app.command(rich_help_panel=_FILES)
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


@app.command(rich_help_panel=_FILES)
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


# -- more --------------------------------------------------------------------------------------------------------------


@app.command(
    rich_help_panel=_REST,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    help="Run the operator. `tidegate run --help` lists its flags.",
)
def run(context: typer.Context) -> None:
    """Become the operator's process: what the command line needed does not stay in its memory."""
    # A few threads ask Prometheus; with glibc's default each could keep a heap of its own.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.execv(sys.executable, [sys.executable, "-m", "tidegate.shell", *context.args])  # noqa: S606


@app.command(rich_help_panel=_REST)
def version(output: OutputOption = None) -> None:
    """Print the version."""
    from tidegate.cli.printing import dump

    if output in (Output.json, Output.yaml):
        dump({"version": __version__}, output)
        return
    typer.echo(__version__)


@app.command(rich_help_panel=_REST)
def completion(
    shell: Annotated[
        str,
        typer.Argument(metavar="bash|zsh|fish", help="Which shell.", autocompletion=one_of("bash", "zsh", "fish")),
    ],
) -> None:
    """Print a shell's completion script: `source <(tidegate completion bash)`.

    `kubectl tidegate` is completed by kubectl's own script, which asks the program kubectl_complete-tidegate.
    """
    from tidegate.cli import completion as scripts

    telling(lambda: scripts.show(shell))


def main() -> None:
    """Entry point."""
    if "_TIDEGATE_COMPLETE" in os.environ:
        from tidegate.cli import completion as scripts

        scripts.ready()
    try:
        code = app(standalone_mode=False, prog_name=_called(), complete_var="_TIDEGATE_COMPLETE")
    except typer.Abort:
        code = 130
    except typer.TyperException as error:
        code = _usage(error)
    except KeyboardInterrupt:
        code = 130
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read this has had enough, which is no error; Python would complain of it once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code if isinstance(code, int) else 0)


def _called() -> str:
    """How the user has called this: kubectl runs a plugin by its file's name."""
    name = Path(sys.argv[0]).name
    return "kubectl tidegate" if name.startswith("kubectl-tidegate") else "tidegate"


def _usage(error: typer.TyperException) -> int:
    """Tell of a wrong use. With no word at all, help is shown, which is no failure."""
    show = getattr(error, "show", None)
    if show is None:
        sys.stderr.write(f"tidegate: {error}\n")
    else:
        show()
    return 0 if type(error).__name__ == "NoArgsIsHelpError" else FAILED
