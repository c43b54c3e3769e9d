"""Adding up the load generator's reports."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lab.demo.traffic import Count, Failure, Tally

_answers = st.lists(
    st.tuples(
        st.integers(0, 200).map(lambda tenths: tenths / 10),
        st.sampled_from(["web", "pay"]),
        st.sampled_from(["v1", "v2", ""]),
        st.sampled_from(["200", "404", "500", "reset"]),
    ),
    max_size=60,
)


def failed(code: str) -> bool:
    return code in ("500", "reset")


def reports(answers: list[tuple[float, str, str, str]]) -> list[dict[str, Any]]:
    """One report for each tenth of a second in which there was an answer."""
    lines = []
    for t in sorted({at for at, *_ in answers}):
        these = [answer for answer in answers if answer[0] == t]
        counted = Counter(answer[1:] for answer in these)
        latencies: dict[str, dict[str, int]] = {}
        for stream in {stream for _, stream, _, _ in these}:
            latencies[stream] = {"5": sum(answer[1] == stream for answer in these)}
        failures = [[*answer] for answer in these if failed(answer[3])]
        line = {"t": t, "answers": [[*key, number] for key, number in counted.items()], "failures": failures}
        lines.append({**line, "latencies": latencies, "skipped": 1, "waiting": 0})
    return lines


def tallied(answers: list[tuple[float, str, str, str]]) -> Tally:
    tally = Tally()
    for report in reports(answers):
        tally.add(report)
    return tally


@given(_answers)
def test_given_any_answers_then_totals_hold_each_once(answers: list[tuple[float, str, str, str]]) -> None:
    tally = tallied(answers)
    for stream in ("web", "pay", ""):
        mine = [answer for answer in answers if stream in ("", answer[1])]
        assert tally.total(stream) == Count(len(mine), sum(failed(answer[3]) for answer in mine))
    assert tally.codes == Counter(answer[3] for answer in answers)
    assert tally.skipped == len({answer[0] for answer in answers})


@given(_answers, st.integers(0, 20), st.integers(1, 10))
def test_given_any_answers_then_a_window_holds_those_of_its_whole_seconds(
    answers: list[tuple[float, str, str, str]], now: int, seconds: int
) -> None:
    expected: dict[tuple[str, str], Count] = {}
    for at, stream, version, code in answers:
        if now - seconds <= int(at) < now:
            before = expected.get((stream, version), Count())
            expected[stream, version] = before + Count(1, int(failed(code)))
    assert tallied(answers).recent(now + 0.9, seconds) == expected


@given(_answers, st.floats(0, 20))
def test_given_any_answers_then_failures_come_in_order_from_the_time_on(
    answers: list[tuple[float, str, str, str]], since: float
) -> None:
    found = tallied(answers).failures_since(since, "web")
    wanted = [Failure(*a) for a in answers if a[1] == "web" and failed(a[3]) and a[0] >= since]
    assert [failure.at for failure in found] == sorted(failure.at for failure in wanted)
    assert Counter(found) == Counter(wanted)


def test_given_latencies_then_a_share_of_the_requests_kept_to_the_one_told() -> None:
    tally = Tally()
    latencies = {"web": {"1": 90, "50": 9}, "pay": {"900": 1}}
    tally.add({"t": 5.2, "answers": [], "latencies": latencies, "failures": [], "skipped": 0})
    assert [tally.latency(6.0, 5, share) for share in (0.5, 0.9, 0.91, 0.99, 1.0)] == [1, 1, 50, 50, 900]
    assert tally.latency(5.9, 5, 0.5) is None


def test_given_no_requests_then_all_of_them_succeeded() -> None:
    assert (Count().success, Count(4, 1).success) == (1.0, 0.75)
