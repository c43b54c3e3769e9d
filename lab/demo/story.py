"""The story: three releases one after the other, each waited for until it has ended as it should, or has not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from lab import manifests
from lab.cluster import Lab
from lab.demo.summary import LEAST_REQUESTS, Outcome, Release, Summary, weights_given
from lab.demo.traffic import Count, Users
from lab.demo.watching import FAST, SLOW, Cast, Stage, Track
from lab.paths import REPOSITORY

EXAMPLES: Final = REPOSITORY / "examples"
NAMESPACE: Final = "demo"
API_VERSION: Final = "argoproj.io/v1alpha1"
RATE: Final = 400.0
"""Requests a second. Enough for 20,000 in the minute that the good release takes."""

CANARY, BLUE_GREEN = "web", "pay"
HOSTS: Final = {CANARY: "web.example.com", BLUE_GREEN: "pay.example.com"}
CAST: Final = Cast(NAMESPACE, CANARY, HOSTS[CANARY], "primary", f"{CANARY}-canary", BLUE_GREEN)


class FailedError(Exception):
    """The stage could not be set. The message says what is missing."""


@dataclass(slots=True)
class Chapter:
    """One release. short: its name below the chart. started: monotonic seconds, 0 before. reached: ended as wanted."""

    title: str
    short: str
    rollout: str
    wanted: Outcome
    started: float = 0.0
    ended: bool = False
    reached: bool = False


class Story:
    """Plays the chapters. `playing` is the one on its way; None before the first and after the last."""

    def __init__(self, lab: Lab, users: Users, stage: Stage) -> None:
        self.chapters = (
            Chapter("canary v2, good", "1 good", CANARY, "promoted"),
            Chapter("canary v3, fails 20 %", "2 bad", CANARY, "undone"),
            Chapter("blue-green v2, fails 20 %", "3 blue-green", BLUE_GREEN, "flipped back"),
        )
        self.playing: Chapter | None = None
        self.began = time.monotonic()
        self._lab = lab
        self._users = users
        self._stage = stage

    def set_stage(self) -> None:
        """Apply the examples' first versions and wait until users are served by them. Raises FailedError."""
        self._lab.apply(manifests.namespace(NAMESPACE))
        for folder in ("canary-istio", "blue-green"):
            self._lab.apply(example(folder, NAMESPACE))
        self._stage.start()
        for rollout in HOSTS:
            if not self._until(partial(self._settled, rollout), 120):
                raise FailedError(f"The first version of {rollout} did not get healthy. {self._told(rollout)}")
        for stream, host in HOSTS.items():
            if not self._until(partial(self._routes, host), 30):
                raise FailedError(f"Envoy got no route for {host} within 30 s.")
            if not self._until(partial(self._reaches, stream), 30):
                raise FailedError(f"Envoy got no pods of {stream} within 30 s.")
        self._users.send(CANARY, HOSTS[CANARY], RATE)
        self._stage.say("story", f"v1 serves {RATE:.0f} requests a second")
        time.sleep(3)

    def play(self, telling: Callable[[], None]) -> Summary:
        """All three chapters. telling: called at the moment that a picture should show."""
        good = self._good()
        bad = self._bad(telling)
        blue_green = self._flip()
        return Summary(
            good=good,
            bad=bad,
            blue_green=blue_green,
            users=self._users.tally.total(),
            weights=weights_given(self._stage.canary.declared, *self._good_time),
            envoy_weights=weights_given(self._stage.canary.actual, *self._good_time),
            rate=RATE,
            skipped=self._users.tally.skipped,
        )

    # -- chapters ------------------------------------------------------------------------------------------------------

    def _good(self) -> Release:
        """Over when the old pods are gone: until then a user could still meet their end."""
        chapter = self.chapters[0]
        before = self._users.tally.total()
        with self._chapter(chapter, "good version: 10 → 25 → 50 → 100, then promoted"):
            old = self._status(CANARY)["stableRS"]
            self._release(CANARY, "v2")
            chapter.reached = self._until(lambda: self._settled(CANARY, other_than=old), 300)
            self._until(lambda: not self._stage.pods_of(old), 60)
            if chapter.reached and self._seen(before) < LEAST_REQUESTS:
                self._stage.say("story", f"a slow machine: waiting for {LEAST_REQUESTS:,} requests")
                self._until(lambda: self._seen(before) >= LEAST_REQUESTS, 180)
            time.sleep(0.5)
        self._good_time = chapter.started, time.monotonic()
        users = self._users.tally.total() - before
        return Release(chapter.title, "promoted", chapter.reached, self._told(CANARY), users)

    def _bad(self, telling: Callable[[], None]) -> Release:
        """Over when Envoy sends the canary nothing and its pods are gone."""
        chapter = self.chapters[1]
        with self._chapter(chapter, "a version that fails 20 % of its requests: undone by its analysis"):
            stable = self._status(CANARY)["stableRS"]
            return self._ends_in_abort(chapter, self._stage.canary, stable, telling)

    def _flip(self) -> Release:
        """Over when Envoy has no endpoint of the new version behind the active Service, and its pods are gone."""
        chapter = self.chapters[2]
        self._users.send(CANARY, HOSTS[CANARY], RATE / 4)
        self._users.send(BLUE_GREEN, HOSTS[BLUE_GREEN], RATE * 3 / 4)
        time.sleep(2)
        with self._chapter(chapter, "blue-green: flipped at once, fails 20 % under users, flipped back"):
            stable = self._status(BLUE_GREEN)["stableRS"]
            return self._ends_in_abort(chapter, self._stage.blue_green, stable, lambda: None)

    def _ends_in_abort(self, chapter: Chapter, track: Track, stable: str, telling: Callable[[], None]) -> Release:
        before, since, name = self._users.tally.total(), chapter.started, chapter.rollout
        self._release(name, "v3" if name == CANARY else "v2", error_rate="0.2")
        if self._until(lambda: self._status(name).get("currentPodHash", stable) != stable, 60):
            self._stage.newest_hash = self._status(name)["currentPodHash"] if name == BLUE_GREEN else ""
        chapter.reached = self._until(lambda: self._undone(chapter, track, stable), 180)
        time.sleep(1)
        telling()
        self._until(lambda: not self._stage.pods_of(self._status(name).get("currentPodHash", "")), 60)
        time.sleep(0.5)
        bad = self._users.tally.failures_since(since, name)
        return Release(
            chapter.title,
            chapter.wanted,
            chapter.reached,
            self._told(name),
            self._users.tally.total() - before,
            first_bad=bad[0].at if bad else None,
            declared_zero=Track.zero_after(track.declared, since),
            envoy_zero=Track.zero_after(track.actual, since),
        )

    @contextmanager
    def _chapter(self, chapter: Chapter, text: str) -> Iterator[None]:
        """Envoy is asked quickly while a release is on its way."""
        chapter.started = time.monotonic()
        self.playing = chapter
        number = self.chapters.index(chapter) + 1
        self._stage.say("story", f"{number}/{len(self.chapters)} {text}")
        self._stage.asked = SLOW if chapter.wanted == "promoted" else FAST
        yield
        self._stage.asked = SLOW
        chapter.ended, self.playing = True, None
        word = chapter.wanted if chapter.reached else f"NOT {chapter.wanted}"
        self._stage.say("story", f"{chapter.title}: {word}")

    # -- what is looked at ---------------------------------------------------------------------------------------------

    def _release(self, rollout: str, version: str, *, error_rate: str = "") -> None:
        """Set the image, and the environment that makes a version bad."""
        container = "/spec/template/spec/containers/0"
        operations: list[dict[str, Any]] = [
            {"op": "replace", "path": f"{container}/image", "value": f"{manifests.APP_IMAGE}:{version}"}
        ]
        if error_rate:
            value = [{"name": "ERROR_RATE", "value": error_rate}]
            operations.append({"op": "add", "path": f"{container}/env", "value": value})
        self._lab.client.patch("Rollout", rollout, NAMESPACE, operations, api_version=API_VERSION)

    def _settled(self, rollout: str, *, other_than: str = "") -> bool:
        """Healthy with its newest version, which is not `other_than`."""
        status = self._status(rollout)
        stable = status.get("stableRS")
        return status.get("phase") == "Healthy" and stable == status.get("currentPodHash") and stable != other_than

    def _undone(self, chapter: Chapter, track: Track, stable: str) -> bool:
        """Aborted by its analysis, stable as before, and no user led to the new version any more, by Envoy neither."""
        status = self._status(chapter.rollout)
        back = Track.zero_after(track.declared, chapter.started) and Track.zero_after(track.actual, chapter.started)
        by_analysis = "analysis" in status.get("message", "")
        return status.get("phase") == "Degraded" and by_analysis and status.get("stableRS") == stable and bool(back)

    def _routes(self, host: str) -> bool:
        return any(self._lab.weights(host).values())

    def _reaches(self, stream: str) -> bool:
        service = f"{stream}-stable" if stream == CANARY else stream
        cluster = f"outbound|80||{service}.{NAMESPACE}.svc.cluster.local"
        return any(self._lab.envoy_clusters().get(cluster, {}).values())

    def _status(self, rollout: str) -> dict[str, Any]:
        return dict(self._stage.status(rollout))

    def _told(self, rollout: str) -> str:
        status = self._status(rollout)
        return f"The Rollout {rollout} says {status.get('phase', 'nothing')}: {status.get('message', '')}".rstrip(": ")

    def _seen(self, before: Count) -> int:
        return (self._users.tally.total() - before).requests

    def _until(self, look: Callable[[], bool], seconds: float) -> bool:
        """Whether `look` came true in time. Raises FailedError if the load generator has died."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self._users.alive:
                raise FailedError("The load generator has ended by itself; its error is above.")
            if look():
                return True
            time.sleep(0.05)
        return False


def example(folder: str, namespace: str) -> list[dict[str, Any]]:
    """The objects of a folder of `examples/`, as they are but for their namespace."""
    documents = [
        document
        for path in sorted(Path(EXAMPLES / folder).glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    return [{**d, "metadata": {**d["metadata"], "namespace": namespace}} for d in documents]
