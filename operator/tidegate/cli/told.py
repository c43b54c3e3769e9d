"""What goes wrong between a person and a cluster, in words that say what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

from tidegate.cluster.errors import (
    ApiError,
    ClusterError,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    TransportError,
    Unauthorized,
)

FAILED: Final = 4
"""The exit code of every verb that could not do what it was asked. 1, 2 and 3 are answers."""

_FORBIDDEN: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_KINDS: Final = {
    "flagger.app": "Flagger's CRDs are not installed there",
    "argoproj.io": "its CRD is not installed: install the chart, or `kubectl apply --server-side -f crds/`",
}


class Told(Exception):  # noqa: N818 - told to the user as it is
    """Something to tell the user, and the exit code to end with."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class MovedOn(ClusterError):  # noqa: N818 - told to the user as it is
    """A precondition no longer held: the object is not as it was shown."""


def explain(error: ClusterError, context: str) -> str:
    """What an error means and what to do. `context`: the kubeconfig's context in use, maybe empty."""
    at = f"the cluster of context {context!r}" if context else "the cluster"
    match error:
        case TransportError():
            return (
                f"{at} can't be reached: {error}\n"
                "Is it up, and is this the right one? `kubectl config get-contexts` lists the contexts, "
                "--context names another."
            )
        case Unauthorized():
            return f"{at} does not accept these credentials (401): log in anew, or name another --context."
        case Forbidden():
            return _forbidden(error)
        case NotFound() if unknown_kind(error):
            return _unknown_kind(error, at)
        case Invalid():
            return f"{error.target or 'the object'} was refused by the API server: {error.message}"
        case TooManyRequests() | ServerError():
            return f"{at} is in trouble ({error.status} {error.reason}): {error.message}\nTry again in a moment."
        case ApiError():
            return f"{error.target}: {error.message} ({error.status} {error.reason})"
    return str(error)


def unknown_kind(error: NotFound) -> bool:
    """Whether the server does not know the kind, and not merely the object."""
    return "not found" not in error.message or error.message.startswith("404 page not found")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known names that look like this one, else all of a few, as the end of a sentence."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return "there is none"
    if len(names) == 1:
        return f"there is only {names[0]}"
    return "there are " + ", ".join(names) if len(names) <= 8 else f"there are {len(names)}; `tidegate list` shows them"


def _forbidden(error: Forbidden) -> str:
    found = _FORBIDDEN.search(error.message)
    if found is None:
        return f"{error.target}: this is not allowed (403): {error.message}"
    resource, _, sub = found["resource"].partition("/")
    where = f" in namespace {found['namespace']}" if found["namespace"] else ""
    kind = f"{resource}.{found['group']}" if found["group"] else resource
    check = f"kubectl auth can-i {found['verb']} {kind}"
    check += f" --subresource={sub}" if sub else ""
    check += f" -n {found['namespace']}" if found["namespace"] else " --all-namespaces"
    return (
        f"{found['user']} may not {found['verb']} {found['resource']}{where}.\n"
        f"Missing is the right {found['verb']!r} on {found['resource']!r} of API group {found['group']!r}; a role "
        f"with it comes with the chart (rbac.aggregate: view, edit). To check: `{check}`"
    )


def _unknown_kind(error: NotFound, at: str) -> str:
    target = error.target.split(" ")[0]
    group = "flagger.app" if target in ("Canary", "MetricTemplate", "canaries", "metrictemplates") else "argoproj.io"
    return f"{at} does not know {target}: {_KINDS[group]}"
