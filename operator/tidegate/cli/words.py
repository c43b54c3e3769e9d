"""What a command line says: where to go, and which object is meant. Nothing here needs a cluster."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import typer

from tidegate.api import names
from tidegate.cli.told import FAILED, Told

ROLLOUT_WORDS: Final = {"rollout": names.ROLLOUT, "rollouts": names.ROLLOUT, "ro": names.ROLLOUT}
_EXPERIMENT_WORDS: Final = {"experiment": "Experiment", "experiments": "Experiment", "exp": "Experiment"}
ROLLOUT_AND_EXPERIMENT_WORDS: Final = {**ROLLOUT_WORDS, **_EXPERIMENT_WORDS}
RUN_WORDS: Final = {
    "analysisrun": names.ANALYSIS_RUN,
    "analysisruns": names.ANALYSIS_RUN,
    "ar": names.ANALYSIS_RUN,
    **_EXPERIMENT_WORDS,
}
SHELLS: Final = ("bash", "zsh", "fish")
"""Those that the command line completes in."""
COMPLETING: Final = "_TIDEGATE_COMPLETE"
"""The variable by which a shell's completion script asks."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Where:
    """What the user has said of the cluster and the namespace; empty means what the kubeconfig says."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""
    all_namespaces: bool = False


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Tell the user on standard error, and end."""
    sys.stderr.write(f"tidegate: {message}\n")
    raise typer.Exit(code)


def named(words: Sequence[str], *, kinds: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The kind and name that `NAME`, `KIND NAME` or `KIND/NAME` mean. Raises Told."""
    known = kinds or ROLLOUT_WORDS
    parts = words[0].split("/", 1) if len(words) == 1 and "/" in words[0] else list(words)
    if len(parts) == 1:
        kind, name = next(iter(known.values())), parts[0]
    elif len(parts) == 2 and (found := known.get(parts[0].lower().partition(".")[0])):
        kind, name = found, parts[1]
    else:
        allowed = ", ".join(sorted(set(known.values())))
        raise Told(f"{' '.join(words)!r} is not a name, nor a kind ({allowed}) and a name")
    if not _NAME.fullmatch(name):
        raise Told(f"{name!r} is not a name that a Kubernetes object can have")
    return kind, name
