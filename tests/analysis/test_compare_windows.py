"""Windows join: whatever happens between two looks, every request is counted, and counted once."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.simulation import BROKEN, START, Simulation, analysis_run
from tests.analysis.traffic import Series, compared, scraped, steadily
from tidegate.core.analysis.compare.windows import Window, increases
from tidegate.core.analysis.decide import decide
from tidegate.core.analysis.world import Measure, Reading, RunWorld, Taken
from tidegate.core.times import parse_time

BEGIN = START.replace(microsecond=0)


def state(played: Simulation) -> dict[str, Any]:
    found: dict[str, Any] = played.result("errors")["compare"]["state"]
    return found


def up_to(played: Simulation) -> Any:
    return parse_time(played.result("errors")["compare"]["upTo"])


@settings(max_examples=30)
@given(
    scrapes=st.lists(st.floats(0.5, 60), min_size=20, max_size=60),
    fails=st.frozensets(st.integers(0, 12), max_size=6),
    crashes=st.frozensets(st.integers(0, 12), max_size=4),
    growth=st.lists(st.integers(0, 90), min_size=60, max_size=60),
)
def test_what_looks_count_together_is_what_the_counters_grew_by(
    scrapes: list[float], fails: frozenset[int], crashes: frozenset[int], growth: list[int]
) -> None:
    """Missed scrapes, failed looks and killed processes move requests from one look to the next, and lose none."""
    stable = Series("stable", "s", [(BEGIN - timedelta(seconds=5), 1000.0)])
    canary = Series("canary", "c")
    at, value = BEGIN, 0
    for pause, more in zip(scrapes, growth, strict=False):
        at, value = at + timedelta(seconds=pause), value + more
        stable.samples.append((at, 1000.0 + value))
        canary.samples.append((at, float(value)))
    truth, asked = scraped([stable, canary]), iter(range(10_000))

    def say(measure: Measure, taken: int) -> Reading:
        return BROKEN if next(asked) in fails else truth(measure, taken)

    run = analysis_run(compared(consecutiveErrorLimit=100))
    played = Simulation(run, say, crashes=crashes).play(until=timedelta(minutes=6))

    for arm, series, before in (("canary", canary, 0.0), ("stable", stable, 1000.0)):
        assert state(played)[arm]["total"] == (series.last(up_to(played)) or before) - before


def test_a_restarted_counter_and_a_new_pod_count_from_zero_and_a_pod_that_is_gone_up_to_its_end() -> None:
    def at(second: float) -> Any:
        return BEGIN + timedelta(seconds=second)

    stable = Series("stable", "s", [(at(-5), 500), (at(10), 540), (at(20), 7), (at(55), 30)])
    gone = Series("canary", "gone", [(at(3), 20), (at(12), 50)])
    born = Series("canary", "born", [(at(40), 9)])

    played = Simulation(analysis_run(compared()), scraped([stable, gone, born])).play(until=timedelta(seconds=70))

    assert state(played)["canary"]["total"] == 50 + 9
    assert state(played)["stable"]["total"] == 7 + 23, "what it counted before the restart and after the scrape is lost"


@given(again=st.integers(1, 3))
def test_a_window_that_is_given_twice_counts_once(again: int) -> None:
    """A write that was refused is decided again, and two replicas may take the same look."""
    played = Simulation(analysis_run(compared()), steadily((0.1, 5), (0.5, 50))).play(until=timedelta(seconds=40))
    first = played.run
    late = played.now + timedelta(seconds=35)
    (measure,) = decide(RunWorld(first, late)).measures
    taken = Taken("errors", late, late, steadily((0.1, 5), (0.5, 50))(measure, 1), measure.window)
    plan = decide(RunWorld(first, late, (taken,)))
    assert plan.status is not None
    once = {**first, "status": plan.status}

    later = late + timedelta(minutes=again)
    repeated = decide(RunWorld(once, later, (Taken("errors", later, later, taken.reading, taken.window),)))

    assert repeated.status is None, "another measurement is due by then, but this one is counted already"


def test_a_long_gap_makes_one_long_window_and_later_looks_go_on_from_its_end() -> None:
    windows: list[Window] = []

    def say(measure: Measure, taken: int) -> Reading:
        assert measure.window is not None
        windows.append(measure.window)
        return BROKEN if len(windows) in (2, 3, 4) else steadily((0, 5), (0, 50))(measure, taken)

    Simulation(analysis_run(compared()), say).play(until=timedelta(minutes=3))

    good = [windows[0], *windows[4:]]
    assert all(one.end == other.start for one, other in pairwise(good))
    assert [w.seconds for w in good[:3]] == [30, 60, 30], "three failures, ten seconds apart, and then everything since"
    assert windows[0].start == BEGIN


def test_a_window_ends_delay_before_now_and_is_asked_for_as_instants() -> None:
    compare = {**compared()["compare"], "delay": "20s"}
    played = Simulation(analysis_run(compared(compare=compare)), steadily((0, 5), (0, 50)))
    played.play(until=timedelta(minutes=1))

    assert played.asked_at("errors") == [49.75], "an interval and the delay after the start"
    assert up_to(played) == BEGIN + timedelta(seconds=30)
    window = Window(BEGIN, BEGIN + timedelta(seconds=30))
    after, before = (f'last_over_time(x{{a="b"}}[900s] @ {m.timestamp():.0f})' for m in (window.end, window.start))
    assert increases('x{a="b"}', window) == f"{after} - {before} >= 0 or {after}"


def test_a_window_before_prometheus_knew_stable_is_passed_over_and_the_next_one_counts() -> None:
    """A service's whole life is not what it did in the last half minute."""
    late = Series(
        "stable", "s", [(BEGIN + timedelta(seconds=20), 1_000_000), (BEGIN + timedelta(seconds=50), 1_000_100)]
    )
    played = Simulation(analysis_run(compared()), scraped([late])).play(until=timedelta(seconds=70))

    assert state(played)["stable"]["total"] == 100
    assert "did not know stable" in played.result("errors")["measurements"][0]["message"]
