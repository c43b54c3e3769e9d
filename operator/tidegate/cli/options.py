"""What verbs have in common: where to go, how to answer, and names that the shell completes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import typer

from tidegate.cli.printing import Output
from tidegate.cli.told import Told
from tidegate.cli.words import RUN_WORDS, Where, fail, named

F = TypeVar("F", bound=Callable[..., Any])


def _complete_contexts(incomplete: str) -> list[str]:
    from tidegate.cluster.kubeconfig import context_names  # noqa: PLC0415 - only the shell's completion needs it

    return [name for name in context_names() if name.startswith(incomplete)]


def _complete_namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    from tidegate.cli.completing import namespaces  # noqa: PLC0415 - only the shell's completion needs it

    return namespaces(ctx, incomplete)


def _complete_rollouts(ctx: typer.Context, incomplete: str) -> list[str]:
    from tidegate.cli.completing import objects  # noqa: PLC0415 - only the shell's completion needs it

    return objects(ctx, "Rollout", incomplete)


def one_of(*known: str) -> Callable[[str], list[str]]:
    """Completes one of these."""
    return lambda incomplete: [word for word in known if word.startswith(incomplete)]


def complete_runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes `analysisrun NAME` or `experiment NAME`."""
    from tidegate.cli.completing import objects  # noqa: PLC0415 - only the shell's completion needs it

    given = ctx.params.get("run") or ()
    if kind := RUN_WORDS.get(given[0]) if given else "":
        return objects(ctx, kind, incomplete)
    return one_of("analysisrun", "experiment")(incomplete)


_CLUSTER: Final = "Cluster"
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        help="Namespace; the context's by default.",
        autocompletion=_complete_namespaces,
        rich_help_panel=_CLUSTER,
        show_default=False,
    ),
]
ContextOption = Annotated[
    str,
    typer.Option(
        "--context",
        help="Context of the kubeconfig; the current one by default.",
        autocompletion=_complete_contexts,
        rich_help_panel=_CLUSTER,
        show_default=False,
    ),
]
KubeconfigOption = Annotated[
    str,
    typer.Option(
        "--kubeconfig",
        help="Kubeconfig file; $KUBECONFIG (several files are one) or ~/.kube/config by default.",
        rich_help_panel=_CLUSTER,
        show_default=False,
    ),
]
AllNamespacesOption = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="All namespaces.", rich_help_panel=_CLUSTER)
]
OutputOption = Annotated[
    Output | None,
    typer.Option("--output", "-o", help="json, yaml, wide or name.", show_default=False),
]
RolloutArgument = Annotated[
    list[str],
    typer.Argument(metavar="ROLLOUT", help="Its name; `rollout/NAME` works too.", autocompletion=_complete_rollouts),
]

_HIDDEN_BEFORE: Final = ("namespace", "context", "kubeconfig")


def cluster_verb(function: F) -> F:
    """Give a verb kubectl's options for the cluster, and hand them to it as one `where`.

    Those given before the verb (`tidegate -n shop get app`) count where the verb has none of its own. What a verb
    refuses by Told ends it with the message.
    """
    given = inspect.signature(function, eval_str=True)
    own = [parameter for name, parameter in given.parameters.items() if name not in ("where", "everywhere")]
    everywhere = "everywhere" in given.parameters
    added = [
        _option("namespace", NamespaceOption),
        _option("context", ContextOption),
        _option("kubeconfig", KubeconfigOption),
    ]
    if everywhere:
        added.append(_option("all_namespaces", AllNamespacesOption, default=False))

    @functools.wraps(function)
    def verb(ctx: typer.Context, **values: Any) -> Any:
        before = ctx.find_root().obj or {}
        chosen = {name: values.pop(name) or before.get(name, "") for name in _HIDDEN_BEFORE}
        where = Where(**chosen, all_namespaces=values.pop("all_namespaces", False))
        extra = {"everywhere": where.all_namespaces} if everywhere else {}
        return telling(functools.partial(function, where=where, **extra, **values))

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    verb.__signature__ = inspect.Signature([context, *keyword, *added])  # type: ignore[attr-defined]
    verb.__annotations__ = {p.name: p.annotation for p in (context, *keyword, *added)}
    del verb.__wrapped__
    return verb  # type: ignore[return-value]


def telling(work: Callable[[], Any]) -> Any:
    """Do the work; what it refuses is told on standard error."""
    try:
        return work()
    except Told as error:
        fail(str(error), error.code)


def rollout_name(words: list[str]) -> str:
    """The name that a verb's words mean. Raises Told."""
    return named(words)[1]


def run_named(words: list[str]) -> tuple[str, str]:
    """The AnalysisRun or Experiment that a verb's words mean. Raises Told."""
    if len(words) == 1 and "/" not in words[0]:
        raise Told("say which kind: `tidegate terminate analysisrun NAME` or `tidegate terminate experiment NAME`")
    return named(words, kinds=RUN_WORDS)


def seconds(text: str) -> float | None:
    """A time limit in seconds; None for none. Raises Told."""
    from tidegate.core.times import parse_duration  # noqa: PLC0415 - few verbs have one

    if not text:
        return None
    try:
        found = parse_duration(text).total_seconds()
    except ValueError as error:
        raise Told(f"--timeout: {error}") from None
    if found < 0:
        raise Told(f"--timeout: {text} is negative")
    return found


def _option(name: str, annotation: Any, default: object = "") -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
