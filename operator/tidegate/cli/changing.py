"""The verbs that ask something of a Rollout: promote, abort, undo, set image and the like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar

from tidegate.api import names
from tidegate.cli.printing import echo, note
from tidegate.cli.session import Obj, Session, visit
from tidegate.cli.told import Told
from tidegate.cli.words import Where
from tidegate.core import asking
from tidegate.core.asking import NothingToDo, NotPossible
from tidegate.core.plan import Write
from tidegate.core.times import format_time, parse_duration
from tidegate.core.view.phase import step_index, step_words, steps_of

T = TypeVar("T")
Ask = Callable[[Obj], list[Write]]

_GIT: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
}


def ask(where: Where, name: str, request: Ask, done: str) -> None:
    """Ask something of a Rollout. done: what to say then, with `{name}` and `{step}`."""
    visit(where, lambda session: _ask(session, name, request, done))


async def _ask(session: Session, name: str, request: Ask, done: str) -> None:
    rollout = await session.observed(name)
    if (writes := _possible(f"Rollout {name}", lambda: request(rollout))) is not None:
        await session.send(writes)
        echo(done.format(name=name, step=_step(rollout)))


def _possible(whose: str, request: Callable[[], T]) -> T | None:
    """What a request comes to; None, and said so, where it is so already. Raises Told."""
    try:
        return request()
    except NothingToDo as said:
        echo(f"{whose} {said}")
        return None
    except NotPossible as said:
        raise Told(f"{whose} {said}") from None


def _step(rollout: Obj) -> str:
    index, steps = step_index(rollout), steps_of(rollout)
    if index is None or index >= len(steps):
        return "the present step"
    return f"step {index + 1} of {len(steps)} ({step_words(steps[index])})"


def restart(where: Where, name: str, after: str) -> None:
    """Replace all pods, now or later."""
    try:
        delay = parse_duration(after) if after else None
    except ValueError as error:
        raise Told(f"--in: {error}") from None
    now = datetime.now(UTC)
    moment = format_time(now if delay is None else now + delay)
    words = f"at {moment}" if delay else "now"
    # The operator need not have seen the present spec: a restart is asked of the pods, whatever they run.
    visit(where, lambda session: _restart(session, name, moment, words))


async def _restart(session: Session, name: str, moment: str, words: str) -> None:
    rollout = await session.get(names.ROLLOUT, name)
    await session.send(asking.restart(rollout, moment))
    echo(f"Rollout {name} is restarted {words}, a few pods at once")


def set_image(where: Where, name: str, given: Sequence[str]) -> None:
    """Run other images."""
    images: dict[str, str] = {}
    for pair in given:
        container, equals, image = pair.partition("=")
        if not equals or not container or not image:
            raise Told(f"{pair!r} is not CONTAINER=IMAGE (or *=IMAGE for every container)")
        images[container] = image
    visit(where, lambda session: _set_image(session, name, images))


async def _set_image(session: Session, name: str, images: dict[str, str]) -> None:
    rollout = await session.get(names.ROLLOUT, name)
    workload = await session.workload(rollout)
    writes = _possible(f"Rollout {name}", lambda: asking.set_images(rollout, images, workload))
    if writes is not None:
        await session.send(writes)
        echo(f"Rollout {name} has got its new image; `tidegate status {name}` follows the update")
        _tell_of_git(rollout)


def undo(where: Where, name: str, to: int) -> None:
    """Go back to an earlier revision."""
    visit(where, lambda session: _undo(session, name, to))


async def _undo(session: Session, name: str, to: int) -> None:
    rollout = await session.get(names.ROLLOUT, name)
    sets = await session.all("ReplicaSet", names.POD_TEMPLATE_HASH)
    workload = await session.workload(rollout)
    found = _possible(f"Rollout {name}", lambda: asking.undo(rollout, sets, to, workload))
    if found is not None:
        writes, revision = found
        await session.send(writes)
        echo(f"Rollout {name} goes back to the pod template of revision {revision}")
        _tell_of_git(rollout)


def _tell_of_git(rollout: Obj) -> None:
    metadata = rollout["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    owner = next((who for key, who in _GIT.items() if key in marks), "")
    if owner:
        note(f"note: {owner} manages this Rollout from Git and may put Git's version back: change it there too")


def terminate(where: Where, kind: Literal["AnalysisRun", "Experiment"], name: str) -> None:
    """End an AnalysisRun or an Experiment now."""
    visit(where, lambda session: _terminate(session, kind, name))


async def _terminate(session: Session, kind: Literal["AnalysisRun", "Experiment"], name: str) -> None:
    run = await session.get(kind, name)
    if (writes := _possible(f"{kind} {name}", lambda: asking.terminate(kind, run))) is not None:
        await session.send(writes)
        echo(f"{kind} {name} is being terminated; what has been measured until now decides")


def retry_experiment(where: Where, name: str) -> None:
    """Run an ended Experiment again."""
    visit(where, lambda session: _retry_experiment(session, name))


async def _retry_experiment(session: Session, name: str) -> None:
    experiment = await session.get("Experiment", name)
    if (writes := _possible(f"Experiment {name}", lambda: asking.retry_experiment(experiment))) is not None:
        await session.send(writes)
        echo(f"Experiment {name} runs again from the beginning")
