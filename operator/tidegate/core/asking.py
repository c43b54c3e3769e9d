"""What a person may ask of a Rollout, as the patches that stand for it.

The fields are those of Argo Rollouts' plugin and of Argo CD's actions, so every controller of this API knows them. Each
patch tests what it was computed from: where the update has moved on in the meantime, it fails, and nobody promotes a
step that they have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tidegate.api import names
from tidegate.core.plan import Key, Write
from tidegate.core.rollout.dress import borne, without_rules
from tidegate.core.view.phase import step_index, steps_of
from tidegate.core.view.tree import hash_of, owner_uid, revision_of

Obj = Mapping[str, Any]
Operation = dict[str, Any]


class NothingToDo(Exception):  # noqa: N818 - no error: what was asked for is so already
    """What was asked for is the case already; the text says so."""


class NotPossible(Exception):  # noqa: N818 - told to a person
    """What was asked for makes no sense now; the text says why and what does."""


def abort(rollout: Obj) -> list[Write]:
    """Undo the update: traffic goes back to stable at once. Raises NothingToDo and NotPossible."""
    status = rollout["status"]
    if status.get("abort"):
        raise NothingToDo("is aborted already; `tidegate retry` tries again")
    _check_under_way(rollout, "abort", "`tidegate undo` goes back to an earlier revision")
    return [_status(rollout, _test("/status/currentPodHash", status["currentPodHash"]), _put("/status/abort", True))]


def retry(rollout: Obj) -> list[Write]:
    """Try an aborted update again, from its first step. Raises NotPossible."""
    if not rollout["status"].get("abort"):
        raise NotPossible("is not aborted, so there is nothing to retry")
    hash_ = rollout["status"].get("currentPodHash")
    return [
        _status(
            rollout, _test("/status/currentPodHash", hash_), _test("/status/abort", True), _put("/status/abort", False)
        )
    ]


def promote(rollout: Obj) -> list[Write]:
    """Go on: lift the pause, or pass the step that is waited at. Raises NothingToDo and NotPossible.

    A Rollout that somebody holds by spec.paused is let go; the step that it stands at is taken then.
    """
    status, held = rollout["status"], bool(rollout["spec"].get("paused"))
    letting_go = [_spec(rollout, _test("/spec/paused", True), _put("/spec/paused", False))] if held else []
    _check_not_aborted(rollout)
    pauses = status.get("pauseConditions")
    if pauses:
        tests = [_test("/status/pauseConditions", pauses), *_test_index(rollout)]
        lifted: list[Operation] = [{"op": "remove", "path": "/status/pauseConditions"}]
        if _step_was_inconclusive(rollout) and (index := step_index(rollout)) is not None:
            lifted += [_put("/status/controllerPause", False), _put("/status/currentStepIndex", index + 1)]
        return [_status(rollout, *tests, *lifted), *letting_go]
    if letting_go:
        return letting_go
    _check_under_way(rollout, "promote", "a change of its pod template starts an update")
    if step_index(rollout) is None:
        raise NotPossible("is not paused and has no steps; `tidegate promote --full` takes what is left at once")
    return skip(rollout)


def promote_full(rollout: Obj) -> list[Write]:
    """Take the new version at once: no step, pause or analysis is waited for. Raises NothingToDo and NotPossible."""
    status = rollout["status"]
    if status.get("promoteFull"):
        raise NothingToDo("is being promoted in full already")
    _check_not_aborted(rollout)
    _check_under_way(rollout, "promote", "a change of its pod template starts an update")
    hash_ = _test("/status/currentPodHash", status["currentPodHash"])
    writes = [_status(rollout, hash_, _put("/status/promoteFull", True))]
    if rollout["spec"].get("paused"):
        writes.append(_spec(rollout, _test("/spec/paused", True), _put("/spec/paused", False)))
    return writes


def skip(rollout: Obj) -> list[Write]:
    """Pass the present step, whatever it is. Raises NothingToDo and NotPossible."""
    _check_not_aborted(rollout)
    _check_under_way(rollout, "skip", "a change of its pod template starts an update")
    index, count = step_index(rollout), len(steps_of(rollout))
    if index is None:
        raise NotPossible("has no steps to skip; `tidegate promote --full` takes what is left at once")
    if index >= count:
        raise NotPossible(f"is past all of its {count} steps and is being promoted; wait for its pods")
    return [_status(rollout, *_test_index(rollout), _put("/status/currentStepIndex", index + 1))]


def pause(rollout: Obj) -> list[Write]:
    """Hold the update where it is. Raises NothingToDo."""
    if rollout["spec"].get("paused"):
        raise NothingToDo("is paused already; `tidegate promote` lets it go on")
    return [_spec(rollout, _put("/spec/paused", True))]


def resume(rollout: Obj) -> list[Write]:
    """Let go of an update that somebody holds by spec.paused; pauses of its steps stay. Raises NothingToDo."""
    if not rollout["spec"].get("paused"):
        raise NothingToDo("is not held by anybody; `tidegate promote` passes a step that pauses")
    return [_spec(rollout, _test("/spec/paused", True), _put("/spec/paused", False))]


def restart(rollout: Obj, at: str) -> list[Write]:
    """Replace every pod that is older than `at` (RFC 3339), a few at once."""
    return [_spec(rollout, _put("/spec/restartAt", at))]


def set_images(rollout: Obj, images: Mapping[str, str], workload: Obj | None = None) -> list[Write]:
    """Run other images. images: by container name; `*` for all. workload: the object with the template, if that is
    another one. Raises NothingToDo and NotPossible."""
    place = TemplateAt.of(rollout, workload)
    tests: list[Operation] = []
    puts: list[Operation] = []
    left = set(images) - {"*"}
    known: list[str] = []
    for kind in ("initContainers", "containers"):
        for number, container in enumerate((place.template.get("spec") or {}).get(kind) or ()):
            name = container["name"]
            known.append(name)
            left.discard(name)
            wanted = images.get(name, images.get("*", "") if kind == "containers" else "")
            if wanted and wanted != container.get("image"):
                at = f"{place.path}/spec/{kind}/{number}"
                tests += [_test(f"{at}/name", name), _test(f"{at}/image", container.get("image"))]
                puts.append(_put(f"{at}/image", wanted))
    if left:
        raise NotPossible(f"has no container {', '.join(sorted(left))}; there are {', '.join(known)}")
    if not puts:
        raise NothingToDo("runs these images already")
    return [Write("patch", place.key, [*tests, *puts], "json")]


def undo(
    rollout: Obj, replica_sets: Sequence[Obj], to: int = 0, workload: Obj | None = None
) -> tuple[list[Write], int]:
    """Go back to an earlier revision's pod template; the writes and the revision's number.

    to: which revision; 0 for the one before the present. Raises NothingToDo and NotPossible.
    """
    uid = rollout["metadata"]["uid"]
    owned = sorted((rs for rs in replica_sets if owner_uid(rs) == uid), key=revision_of)
    current = (rollout.get("status") or {}).get("currentPodHash")
    earlier = [rs for rs in owned if hash_of(rs) != current]
    known = ", ".join(str(revision_of(rs)) for rs in owned) or "none"
    if to:
        target = next((rs for rs in owned if revision_of(rs) == to), None)
        if target is None:
            raise NotPossible(f"has no revision {to}; there are {known} (spec.revisionHistoryLimit says how many stay)")
    elif earlier:
        target = earlier[-1]
    else:
        raise NotPossible("has no earlier revision to go back to")
    number = revision_of(target)
    if hash_of(target) == current:
        raise NothingToDo(f"is at revision {number} already")
    place = TemplateAt.of(rollout, workload)
    template = _own(target)
    return [Write("patch", place.key, [_test(place.path, place.template), _put(place.path, template)], "json")], number


def terminate(kind: Literal["AnalysisRun", "Experiment"], obj: Obj) -> list[Write]:
    """End an AnalysisRun or an Experiment now; what has been measured decides. Raises NothingToDo."""
    phase = (obj.get("status") or {}).get("phase", "")
    if phase in (names.RUN_SUCCESSFUL, names.RUN_FAILED, names.RUN_ERROR, names.RUN_INCONCLUSIVE):
        raise NothingToDo(f"has ended already ({phase})")
    if obj["spec"].get("terminate"):
        raise NothingToDo("is being terminated already")
    key = Key(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
    uid = _test("/metadata/uid", obj["metadata"]["uid"])
    return [Write("patch", key, [uid, _put("/spec/terminate", True)], "json")]


def retry_experiment(experiment: Obj) -> Write:
    """Run an ended Experiment again: its status, which is no subresource, is taken away, and the wish to end it.

    Raises NotPossible.
    """
    phase = (experiment.get("status") or {}).get("phase", "")
    if phase not in (names.RUN_SUCCESSFUL, names.RUN_FAILED, names.RUN_ERROR, names.RUN_INCONCLUSIVE):
        raise NotPossible("has not ended, so there is nothing to retry")
    key = Key("Experiment", experiment["metadata"].get("namespace", ""), experiment["metadata"]["name"])
    tests = [_test("/metadata/uid", experiment["metadata"]["uid"]), _test("/status/phase", phase)]
    ended = [_put("/spec/terminate", False)] if experiment["spec"].get("terminate") else []
    return Write("patch", key, [*tests, *ended, {"op": "remove", "path": "/status"}], "json")


class TemplateAt:
    """Where a Rollout's pod template stands: in itself, or in the workload that it names."""

    def __init__(self, key: Key, path: str, template: Obj) -> None:
        self.key, self.path, self.template = key, path, template

    @classmethod
    def of(cls, rollout: Obj, workload: Obj | None) -> TemplateAt:
        """The place in `rollout`, or in `workload` where its spec.workloadRef names that."""
        if workload is None:
            return cls(_key(rollout), "/spec/template", rollout["spec"].get("template") or {})
        kind, metadata = workload["kind"], workload["metadata"]
        key = Key(kind, metadata.get("namespace", ""), metadata["name"])
        if kind == "PodTemplate":
            return cls(key, "/template", workload.get("template") or {})
        return cls(key, "/spec/template", workload["spec"]["template"])


def _own(rs: Obj) -> Obj:
    """A ReplicaSet's template without what was put into it: the hash, metadata of a role, rules of anti-affinity."""
    template = without_rules(rs["spec"]["template"])
    metadata = dict(template.get("metadata") or {})
    given = borne(rs["metadata"].get("annotations") or {})
    for part in ("labels", "annotations"):
        dropped = {*given.get(part, {}), names.POD_TEMPLATE_HASH}
        kept = {name: value for name, value in (metadata.get(part) or {}).items() if name not in dropped}
        metadata.pop(part, None)
        if kept:
            metadata[part] = kept
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": metadata}


def _check_under_way(rollout: Obj, verb: str, instead: str) -> None:
    status = rollout["status"]
    if status.get("currentPodHash") == status.get("stableRS"):
        raise NothingToDo(f"has no update to {verb}: its present version is the stable one; {instead}")


def _check_not_aborted(rollout: Obj) -> None:
    if rollout["status"].get("abort"):
        raise NotPossible("is aborted; `tidegate retry` tries the update again")


def _step_was_inconclusive(rollout: Obj) -> bool:
    run = ((rollout["status"].get("canary") or {}).get("currentStepAnalysisRunStatus") or {}).get("status")
    return bool(run == names.RUN_INCONCLUSIVE)


def _test_index(rollout: Obj) -> list[Operation]:
    """The update and the step that were seen."""
    status = rollout["status"]
    index = status.get("currentStepIndex")
    tests = [_test("/status/currentPodHash", status.get("currentPodHash"))]
    return tests if index is None else [*tests, _test("/status/currentStepIndex", index)]


def _key(rollout: Obj) -> Key:
    return Key(names.ROLLOUT, rollout["metadata"]["namespace"], rollout["metadata"]["name"])


def _status(rollout: Obj, *operations: Operation) -> Write:
    return Write("patch", _key(rollout), list(operations), "json", "status")


def _spec(rollout: Obj, *operations: Operation) -> Write:
    uid = _test("/metadata/uid", rollout["metadata"]["uid"])
    return Write("patch", _key(rollout), [uid, *operations], "json")


def _test(path: str, value: Any) -> Operation:
    return {"op": "test", "path": path, "value": value}


def _put(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}
