"""The buttons: which there are, whether each makes sense now, what it does, and what it was decided on.

The patches are those of `tidegate.core.asking`, which test what they were computed from. Between the page and the
click lies a person's time, though; so the page hands back what it had shown, and where that has changed, nothing is
done. What is compared is what the person's decision rests on: whoever promotes has read the step, whoever aborts means
the update, at whatever step it is by then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tidegate.core import asking
from tidegate.core.asking import NothingToDo, NotPossible
from tidegate.core.plan import Write
from tidegate.core.times import format_time
from tidegate.core.view.phase import step_index, step_words, steps_of
from tidegate.core.view.tree import hash_of, images_of, owner_uid, revision_of

Obj = Mapping[str, Any]

_VERB: Final = re.compile(r"`tidegate ([a-z]+(?: --full)?)(?: [^`]*)?`")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is at hand to make an action of. revision: for an undo, the one to go back to; 0 for the one before."""

    rollout: Obj
    replica_sets: Sequence[Obj]
    now: datetime
    workload: Obj | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """One button. subresource: of the Rollout, which one must be allowed to patch. ask: whether to ask once more.

    seen: the fields that the decision rests on, as JSON pointers into the Rollout.
    """

    name: str
    label: str
    subresource: str
    ask: bool
    seen: tuple[str, ...]
    writes: Callable[[Asked], Sequence[Write]]
    done: str
    means: str


_UPDATE: Final = ("/metadata/uid", "/status/currentPodHash")
_STEP: Final = (*_UPDATE, "/status/currentStepIndex", "/status/pauseConditions", "/spec/paused")

ACTIONS: Final = {
    action.name: action
    for action in (
        Action(
            "promote", "Promote", "status", False, _STEP, lambda a: asking.promote(a.rollout),
            "{name} goes on from {step}.", "Goes on from {step}.",
        ),
        Action(
            "skip", "Skip step", "status", True, _STEP, lambda a: asking.skip(a.rollout),
            "{name} skips {step}.", "Passes {step} without waiting for its end.",
        ),
        Action(
            "pause", "Pause", "", False, _UPDATE, lambda a: asking.pause(a.rollout),
            "{name} is held at {step}. Resume lets it go on.", "Holds the update at {step} until somebody resumes it.",
        ),
        Action(
            "resume", "Resume", "", False, (*_UPDATE, "/spec/paused"), lambda a: asking.resume(a.rollout),
            "{name} goes on.", "Lets go of the update; a step that pauses still pauses.",
        ),
        Action(
            "promote-full", "Promote fully", "status", True, _UPDATE, lambda a: asking.promote_full(a.rollout),
            "{name} takes the new version in full.",
            "Takes the new version at once: no step, pause or analysis is waited for.",
        ),
        Action(
            "abort", "Abort", "status", True, _UPDATE, lambda a: asking.abort(a.rollout),
            "{name} is aborted: traffic goes back to the stable version.",
            "Sends all traffic back to the stable version now. Retry tries the update again.",
        ),
        Action(
            "retry", "Retry", "status", False, (*_UPDATE, "/status/abort"), lambda a: asking.retry(a.rollout),
            "{name} tries the update again from its first step.",
            "Tries the aborted update again, from its first step.",
        ),
        Action(
            "undo", "Undo", "", True, _UPDATE,
            lambda a: asking.undo(a.rollout, a.replica_sets, a.revision, a.workload)[0],
            "{name} goes back to an earlier revision.",
            "Puts an earlier revision's pod template back. Where Git manages this Rollout, change it there too.",
        ),
        Action(
            "restart", "Restart pods", "", True, ("/metadata/uid",),
            lambda a: asking.restart(a.rollout, format_time(a.now)),
            "The pods of {name} are replaced, a few at once.",
            "Replaces every pod with a new one of its version, a few at once.",
        ),
    )
}  # fmt: skip


def unobserved(action: Action, rollout: Obj) -> bool:
    """Whether the action is about a status that tells of an older spec."""
    generation = rollout["metadata"].get("generation")
    observed = (rollout.get("status") or {}).get("observedGeneration")
    return action.subresource == "status" and str(observed or "") != str(generation or "")


def buttons(asked: Asked) -> list[dict[str, Any]]:
    """Every button of a Rollout as it is: whether it makes sense, why not, and what it rests on."""
    held = bool((asked.rollout.get("spec") or {}).get("paused"))
    asked = replace(asked, rollout={**asked.rollout, "status": asked.rollout.get("status") or {}})
    return [_button(action, asked) for action in ACTIONS.values() if action.name != ("pause" if held else "resume")]


def _button(action: Action, asked: Asked) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": action.name,
        "label": action.label,
        "ask": action.ask,
        "means": _worded(action.means, asked.rollout),
        "seen": seen(action, asked.rollout),
        "possible": True,
        "why": "",
    }
    if action.name == "undo":
        shown["revisions"] = _revisions(asked)
    if unobserved(action, asked.rollout):
        return shown | {"possible": False, "why": "Its newest spec has not been taken note of by an operator yet."}
    try:
        action.writes(asked)
    except (NothingToDo, NotPossible) as said:
        shown |= {"possible": False, "why": f"It {_in_labels(str(said))}."}
    return shown


def seen(action: Action, rollout: Obj) -> dict[str, Any]:
    """What the action rests on, as it is in this Rollout."""
    return {pointer: _at(rollout, pointer) for pointer in action.seen}


def done(action: Action, rollout: Obj) -> str:
    """What to say once it has been asked for."""
    return _worded(action.done, rollout)


def refused(said: NothingToDo | NotPossible, rollout: Obj) -> str:
    """Why it was not asked for, in the page's words."""
    return f"{rollout['metadata']['name']} {_in_labels(str(said))}."


def _worded(text: str, rollout: Obj) -> str:
    return text.format(name=rollout["metadata"]["name"], step=_step(rollout))


def _step(rollout: Obj) -> str:
    index, steps = step_index(rollout), steps_of(rollout)
    if index is None or index >= len(steps):
        return "where it stands"
    return f"step {index + 1} of {len(steps)} ({step_words(steps[index])})"


def _in_labels(text: str) -> str:
    """Words that name verbs of the command line, with the buttons' names in their place."""

    def label(match: re.Match[str]) -> str:
        action = ACTIONS.get(match[1].replace(" --", "-"))
        return action.label if action else match[0]

    return _VERB.sub(label, text)


def _revisions(asked: Asked) -> list[dict[str, Any]]:
    """The revisions that one can go back to, newest first."""
    metadata, current = asked.rollout["metadata"], (asked.rollout.get("status") or {}).get("currentPodHash")
    owned = [rs for rs in asked.replica_sets if owner_uid(rs) == metadata["uid"] and hash_of(rs) != current]
    return [
        {
            "revision": revision_of(rs),
            "hash": hash_of(rs),
            "images": list(images_of((rs.get("spec") or {}).get("template") or {})),
        }
        for rs in sorted(owned, key=revision_of, reverse=True)
    ]


def _at(document: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        document = document.get(token) if isinstance(document, Mapping) else None
    return document
