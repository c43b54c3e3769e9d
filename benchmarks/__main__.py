"""`python -m benchmarks`, inside a lab's network: all stories on one lab, one table, and JSON with OUT=file.json."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import objects, stories
from benchmarks.audit import AuditLog
from benchmarks.controllers import OUR_USER, THEIR_USER, ProcessTree, ours, theirs
from benchmarks.prometheus import relay
from benchmarks.table import Figures, show
from lab import manifests
from lab import operator as tidegate
from lab.cluster import Lab, LabError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=100, help="how many in the storm")
    parser.add_argument("--attempts", type=int, default=10, help="of react; 0 leaves it out")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds; 0 leaves it out")
    arguments = parser.parse_args()
    command = os.environ.get("CONTROLLER", "")
    try:
        with Lab.start(instant_pods=True, envoy=False, webhook=False, audited=[OUR_USER, THEIR_USER]) as lab:
            # What is measured is the controller and the API server. There is no proxy that istiod could serve, and
            # with it a share of every VirtualService's write would be istiod's work, of which the floor has none.
            lab.kill("istiod")
            figures = _measure(lab, command, arguments)
    except (LabError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(show(figures), flush=True)
    if out := os.environ.get("OUT"):
        Path(out).write_text(json.dumps(figures.as_json(), indent=1) + "\n")
    return 0


def _measure(lab: Lab, command: str, arguments: argparse.Namespace) -> Figures:
    load = os.getloadavg()[0]
    kubeconfig = tidegate.install(lab)
    lab.client.create(manifests.namespace(objects.NAMESPACE))
    floor = stories.Floor(lab, arguments.rollouts)
    floor.prepare()
    floors = [floor.measure()]
    _say(f"floor: {floors[0]:.1f} s")
    with relay(lab) as between, _controller(lab, command, kubeconfig) as controller:
        lab.apply(objects.templates(between.address))
        log = AuditLog(lab.components.audit_log, THEIR_USER if command else OUR_USER)
        storm = stories.storm(lab, controller, log, arguments.rollouts)
        _say(f"storm: {storm.seconds:.1f} s, {storm.cpu_ms:.0f} ms CPU and {storm.writes:.1f} writes a Rollout")
        floors.append(floor.measure())
        _say(f"floor again: {floors[1]:.1f} s")
        idle = react = None
        if arguments.idle:
            stories.settle(lab, arguments.rollouts)
            idle = stories.idle(controller, log, between, arguments.idle)
            _say(f"idle: {len(idle.requests)} requests, {idle.queries} queries")
        if arguments.attempts:
            react = stories.react(lab, between, arguments.attempts, _say)
    return Figures(
        controller=command or "Tidegate",
        floor_s=statistics.mean(floors),
        storm=storm,
        idle=idle,
        react=react,
        load=(load, os.getloadavg()[0]),
    )


@contextmanager
def _controller(lab: Lab, command: str, kubeconfig: Path) -> Iterator[ProcessTree]:
    with theirs(lab, command) if command else ours(lab, kubeconfig) as found:
        yield found


_BEGAN = time.monotonic()


def _say(text: str) -> None:
    print(f"bench: {time.monotonic() - _BEGAN:5.0f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
