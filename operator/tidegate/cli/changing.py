"""The verbs that ask something of a Rollout: promote, abort, undo, set image and the like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeVar

from tidegate.api import names
from tidegate.cli.printing import Output, dump, echo, note
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


@dataclass(frozen=True, slots=True)
class _Asked:
    """What something is asked of, and how the answer is wanted."""

    session: Session
    kind: str
    name: str
    output: Output | None

    def possible(self, request: Callable[[], T]) -> T | None:
        """What a request comes to; None, and said so, where it is so already. Raises Told."""
        try:
            return request()
        except NothingToDo as said:
            self.answer(str(said), changed=False)
            return None
        except NotPossible as said:
            raise Told(f"{self.kind} {self.name} {said}") from None

    def answer(self, words: str, *, changed: bool = True) -> None:
        """Say what has come of it. words: the rest of a sentence that begins with kind and name."""
        message = f"{self.kind} {self.name} {words}"
        if self.output in (Output.json, Output.yaml):
            namespace = self.session.namespace
            found = {"kind": self.kind, "namespace": namespace, "name": self.name}
            dump({**found, "changed": changed, "message": message}, self.output)
        elif self.output is Output.name:
            echo(f"{self.kind.lower()}.{names.GROUP}/{self.name}")
        else:
            echo(message)


def ask(where: Where, name: str, request: Ask, done: str, output: Output | None) -> None:
    """Ask something of a Rollout. done: what to say of it then, with `{name}` and `{step}`."""
    visit(where, lambda session: _ask(_Asked(session, names.ROLLOUT, name, output), request, done))


async def _ask(asked: _Asked, request: Ask, done: str) -> None:
    rollout = await asked.session.observed(asked.name)
    if (writes := asked.possible(lambda: request(rollout))) is not None:
        await asked.session.send(writes)
        asked.answer(done.format(name=asked.name, step=_step(rollout)))


def _step(rollout: Obj) -> str:
    index, steps = step_index(rollout), steps_of(rollout)
    if index is None or index >= len(steps):
        return "the present step"
    return f"step {index + 1} of {len(steps)} ({step_words(steps[index])})"


def restart(where: Where, name: str, after: str, output: Output | None) -> None:
    """Replace all pods, now or later."""
    try:
        delay = parse_duration(after) if after else None
    except ValueError as error:
        raise Told(f"--in: {error}") from None
    now = datetime.now(UTC)
    moment = format_time(now if delay is None else now + delay)
    words = f"at {moment}" if delay else "now"
    # The operator need not have seen the present spec: a restart is asked of the pods, whatever they run.
    visit(where, lambda session: _restart(_Asked(session, names.ROLLOUT, name, output), moment, words))


async def _restart(asked: _Asked, moment: str, words: str) -> None:
    rollout = await asked.session.get(names.ROLLOUT, asked.name)
    await asked.session.send(asking.restart(rollout, moment))
    asked.answer(f"is restarted {words}, a few pods at once")


def set_image(where: Where, name: str, given: Sequence[str], output: Output | None) -> None:
    """Run other images."""
    images: dict[str, str] = {}
    for pair in given:
        container, equals, image = pair.partition("=")
        if not equals or not container or not image:
            raise Told(f"{pair!r} is not CONTAINER=IMAGE (or *=IMAGE for every container)")
        images[container] = image
    if not images:
        raise Told(f"say which image: `tidegate set image {name} CONTAINER=IMAGE` (or *=IMAGE for every container)")
    visit(where, lambda session: _set_image(_Asked(session, names.ROLLOUT, name, output), images))


async def _set_image(asked: _Asked, images: dict[str, str]) -> None:
    rollout = await asked.session.get(names.ROLLOUT, asked.name)
    workload = await asked.session.workload(rollout)
    writes = asked.possible(lambda: asking.set_images(rollout, images, workload))
    if writes is not None:
        await asked.session.send(writes)
        asked.answer(f"has got its new image; `tidegate status {asked.name}` follows the update")
        _tell_of_git(rollout)


def undo(where: Where, name: str, to: int, output: Output | None) -> None:
    """Go back to an earlier revision."""
    visit(where, lambda session: _undo(_Asked(session, names.ROLLOUT, name, output), to))


async def _undo(asked: _Asked, to: int) -> None:
    session = asked.session
    rollout = await session.get(names.ROLLOUT, asked.name)
    sets = await session.all("ReplicaSet", names.POD_TEMPLATE_HASH)
    workload = await session.workload(rollout)
    found = asked.possible(lambda: asking.undo(rollout, sets, to, workload))
    if found is not None:
        writes, revision = found
        await session.send(writes)
        asked.answer(f"goes back to the pod template of revision {revision}")
        _tell_of_git(rollout)


def _tell_of_git(rollout: Obj) -> None:
    metadata = rollout["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    owner = next((who for key, who in _GIT.items() if key in marks), "")
    if owner:
        note(f"note: {owner} manages this Rollout from Git and may put Git's version back: change it there too")


def terminate(where: Where, kind: Literal["AnalysisRun", "Experiment"], name: str, output: Output | None) -> None:
    """End an AnalysisRun or an Experiment now."""
    visit(where, lambda session: _terminate(_Asked(session, kind, name, output), kind))


async def _terminate(asked: _Asked, kind: Literal["AnalysisRun", "Experiment"]) -> None:
    run = await asked.session.get(kind, asked.name)
    if (writes := asked.possible(lambda: asking.terminate(kind, run))) is not None:
        await asked.session.send(writes)
        asked.answer("is being terminated; what has been measured until now decides")


def retry_experiment(where: Where, name: str, output: Output | None) -> None:
    """Run an ended Experiment again."""
    visit(where, lambda session: _retry_experiment(_Asked(session, "Experiment", name, output)))


async def _retry_experiment(asked: _Asked) -> None:
    experiment = await asked.session.get("Experiment", asked.name)
    if (write := asked.possible(lambda: asking.retry_experiment(experiment))) is not None:
        await asked.session.send([write])
        asked.answer("runs again from the beginning")
