"""The `tidegate` command, which is also `kubectl tidegate`: its verbs put together, and how a call ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from tidegate.cli.options import ContextOption, KubeconfigOption, NamespaceOption
from tidegate.cli.told import FAILED
from tidegate.cli.verbs import ask, look
from tidegate.cli.verbs.analysis import analysis_verbs
from tidegate.cli.verbs.files import file_verbs
from tidegate.cli.verbs.program import program_verbs
from tidegate.cli.words import COMPLETING

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Progressive delivery for Kubernetes: look at Rollouts, promote or undo them, check their manifests.",
    epilog="Exit codes: 0 done or yes, 1 no (undone, findings, changes), 2 waits for a person, 3 time limit, 4 failed.",
)
for family in (look.look_verbs, ask.ask_verbs, file_verbs, program_verbs):
    app.add_typer(family)
app.add_typer(ask.set_verbs, name="set", rich_help_panel=ask.PANEL)
app.add_typer(analysis_verbs, name="analysis", rich_help_panel=look.PANEL)


@app.callback()
def _before(
    context: typer.Context,
    namespace: NamespaceOption = "",
    in_context: ContextOption = "",
    kubeconfig: KubeconfigOption = "",
) -> None:
    context.obj = {"namespace": namespace, "context": in_context, "kubeconfig": kubeconfig}


def main() -> None:
    """Entry point."""
    if COMPLETING in os.environ:
        from tidegate.cli import completion as scripts

        scripts.ready()
    try:
        code = app(standalone_mode=False, prog_name=_called(), complete_var=COMPLETING)
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
