"""Two operators: one works, and when it dies, sleeps or is cut off, the other goes on; never do both act.

Wrong programs that this catches: a standby that waits for longer than it must, a leader that acts on after its lease
has run out, and one that takes up where it was when it wakes or is heard again.
"""

from __future__ import annotations

import http.client
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lab.cluster import Lab
from lab.operator import Operator, operator
from tests.requests_made import Asked, asked
from tests.scenarios.relay import Relay
from tests.scenarios.story import Story, by_host, rollout, split_by_host, wait, weigh
from tidegate.cluster.lease import LeaseTiming

pytestmark = pytest.mark.lab

QUIET = 2.0
SOON = 15.0
"""Seconds in which the other one goes on, whatever has happened to the leader."""


def test_whatever_happens_to_the_leader_the_other_goes_on_and_never_do_both_act(
    alone: Story, lab: Lab, installed: Path, tidegate: Operator
) -> None:
    began = time.time()
    alone.services("app-stable", "app-canary")
    alone.route(split_by_host())
    strategy = by_host(weigh(20), wait(), weigh(60), wait(1), weigh(100))
    alone.apply(rollout("v1", strategy))
    alone.until_phase("Healthy")
    with Relay(lab) as line, operator(lab, line.kubeconfig(installed), name="standby", port=8091) as standby:
        assert leading(tidegate) and not leading(standby)
        with other_goes_on(alone, "v2", tidegate.kill, standby):
            tidegate.start()
        with other_goes_on(alone, "v3", line.cut, tidegate):
            wait_until_not(leading, standby)
            line.mend()
        with other_goes_on(alone, "v4", lambda: tidegate.send(signal.SIGSTOP), standby):
            before = written_last(lab, "operator")
            tidegate.send(signal.SIGCONT)
        alone.holds(lambda: leading(standby) and not leading(tidegate), "the sleeper standing by", 3)
        assert written_last(lab, "operator") == before, "a leader that overslept its lease must not write"
    never_both([request for request in asked(lab) if request.at >= began])


def test_a_connection_that_somebody_keeps_open_does_not_hold_up_the_end(lab: Lab, installed: Path) -> None:
    """As Prometheus does between scrapes, and the API server between reviews."""
    with (
        operator(lab, installed, name="asked", port=8092) as replica,
        closing(http.client.HTTPConnection("127.0.0.1", replica.port)) as scraper,
    ):
        scraper.request("GET", "/metrics")
        assert scraper.getresponse().read()
        since = time.monotonic()
        replica.stop()
        assert time.monotonic() - since < 4.5  # kopf gives what it takes for its own tasks five seconds
    assert "tidegate has stopped" in replica.log.read_text()


@contextmanager
def other_goes_on(story: Story, version: str, disturb: Callable[[], object], other: Operator) -> Iterator[None]:
    """A release that is due to go on when its operator no longer can; the body brings that one back in the middle."""
    strategy = story.rollout()["spec"]["strategy"]
    story.apply(rollout(version, strategy))
    story.until_phase("Paused", "CanaryPauseStep")
    # Nothing is under way: what a line holds back can arrive late, as long as nobody has changed the object since.
    story.until(lambda: time.time() - last_act(story.lab) > QUIET, "the operator having done all that it can")
    disturb()
    since = time.monotonic()
    story.ask(pauseConditions=None)
    story.until_weight(60, timeout=SOON)
    assert time.monotonic() - since < SOON and leading(other)
    yield
    story.until_phase("Healthy")
    assert leading(other)


def leading(replica: Operator) -> bool:
    return "tidegate_leading 1.0" in replica.metrics()


def wait_until_not(holds: Callable[[Operator], bool], replica: Operator) -> None:
    deadline = time.monotonic() + SOON
    while holds(replica):
        assert time.monotonic() < deadline, f"{replica.name} has not noticed"
        time.sleep(0.2)


def written_last(lab: Lab, replica: str) -> float:
    """When a replica last changed something; events, which tell of what it did before, come later."""
    return max(request.at for request in asked(lab) if acts(request) and request.replica == replica)


def last_act(lab: Lab) -> float:
    return max(request.at for request in asked(lab) if acts(request))


def acts(request: Asked) -> bool:
    return request.wrote and not re.fullmatch("leases|events", request.kind)


def never_both(requests: list[Asked]) -> None:
    """Whoever changes something holds the lease and has renewed it in time, by the API server's own record."""
    duration = LeaseTiming().duration
    holder, renewed, holders = "", 0.0, []
    for request in sorted(requests, key=lambda request: request.done):
        if request.kind == "leases" and request.wrote and request.name == "tidegate-controller-lock":
            if request.replica != holder:
                holders.append(request.replica)
            holder, renewed = request.replica, request.at
        elif acts(request) and holder:
            assert request.replica == holder, f"{request} although {holder} holds the lease"
            assert request.at < renewed + duration, f"{request}, {request.at - renewed:.1f} s after its last renewal"
    # On a busy machine a leader may also lose the lease of itself, which is no fault as long as both never act.
    assert holders[:4] == ["operator", "standby", "operator", "standby"]
