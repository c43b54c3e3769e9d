"""How an Experiment is doing, from how its versions and its analyses are doing. No state, no names: two lists in, a
phase out.

Source: Argo Rollouts' experiments/experiment.go and its documentation. Where the two differ, the documentation counts:
an Experiment ends when its required analyses were successful, and does not wait for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.api import names
from tidegate.core.analysis.verdicts import BADNESS
from tidegate.core.rollout.world import ENDED

_FROM_GOOD_TO_BAD: Final = (
    names.TEMPLATE_SUCCESSFUL,
    names.TEMPLATE_RUNNING,
    names.TEMPLATE_PROGRESSING,
    names.TEMPLATE_ERROR,
    names.TEMPLATE_FAILED,
)
_PHASES: Final = {names.TEMPLATE_PROGRESSING: names.RUN_PENDING}


@dataclass(frozen=True, slots=True)
class Part:
    """A version, or an analysis, and how it is doing. phase: of an analysis, empty where it has not begun."""

    phase: str
    message: str = ""
    required: bool = False


def judge(versions: Sequence[Part], analyses: Sequence[Part], *, terminated: bool) -> tuple[str, str]:
    """The phase and the message."""
    version = max(versions, key=lambda part: _FROM_GOOD_TO_BAD.index(part.phase))
    if version.phase in (names.TEMPLATE_ERROR, names.TEMPLATE_FAILED):
        return version.phase, version.message
    bad = [part for part in analyses if part.phase in ENDED and part.phase != names.RUN_SUCCESSFUL]
    if bad:
        worst = max(bad, key=lambda part: BADNESS.index(part.phase))
        return worst.phase, worst.message
    required = [part for part in analyses if part.required]
    if required and all(part.phase == names.RUN_SUCCESSFUL for part in required):
        return names.RUN_SUCCESSFUL, "The required analyses were successful"
    if version.phase != names.TEMPLATE_SUCCESSFUL:
        return _PHASES.get(version.phase, version.phase), version.message
    if not required:
        return names.RUN_SUCCESSFUL, version.message
    if terminated and any(not part.phase for part in required):
        told = "Terminated before the required analyses had begun, so nothing is known of the versions"
        return names.RUN_INCONCLUSIVE, told
    return names.RUN_RUNNING, "Waiting for the required analyses"
