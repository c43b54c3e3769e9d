"""Counts: how often a canary that is no worse is called worse, how surely and how soon a worse one is."""

from dataclasses import replace

import numpy as np

from benchmarks.judge.streams import Stream, World, bursts, day, growing, shared_gamma, steps, uneven_traffic
from benchmarks.judge.tables import Table, mean, median_look, share
from benchmarks.judge.vector import NEVER, judged, mann_whitney, peeking, static_bound
from tidegate.core.judge.counts import CountsLook, CountsParameters, CountsState, Tally, judge, observe
from tidegate.core.judge.dispersion import PodCount
from tidegate.core.judge.finding import Verdict

PARAMETERS = CountsParameters()

# Half an hour in three steps, looked at every 30 seconds: the plan that all rivals are compared on.
PLAN = steps(0.1, 0.25, 0.5)


def false_alarms(runs: int, seed: int) -> Table:
    table = Table(
        "false_alarms",
        "A canary that is no worse, called worse (nominal 1 %)",
        ("world", "looks", "judge, 1.0 times", "judge, 1.1 times", "test at every look", "99 % success, 5 failures"),
    )
    table.begin()
    worlds = [
        ("constant, 0.5 %, 67 requests/s, 5 to 50 %", World(67, 0.005, growing(18))),
        ("constant, 0.05 %, 10/s", World(10, 0.0005, (0.1,) * 120)),
        ("constant, 1 %, 10/s", World(10, 0.01, (0.1,) * 120)),
        ("constant, 5 %, 100/s", World(100, 0.05, (0.1,) * 120)),
        ("constant, 1 %, 2,000/s", World(2000, 0.01, (0.1,) * 30)),
        ("constant, 0.5 %, 100/s", World(100, 0.005, (0.1,) * 300)),
        ("constant, 0.5 %, 100/s", World(100, 0.005, (0.1,) * 3000)),
        ("constant, 0.5 %, 1/s", World(1, 0.005, (0.1,) * 3000)),
        ("shared drift, gamma 3 each look", World(67, 0.005, growing(18), drift=shared_gamma(3))),
        ("shared drift, a day of 1/3 to 3 times", World(100, 0.005, (0.1,) * 300, drift=day)),
        ("shared bursts of 20 times", World(100, 0.005, (0.1,) * 300, drift=bursts)),
        ("weights 10, 25, 50 %, uneven traffic", World(100, 0.005, PLAN, traffic=uneven_traffic)),
        ("weights 1 to 90 % and drift", World(100, 0.005, growing(120, 0.01, 0.9), drift=day)),
    ]
    for number, (name, world) in enumerate(worlds):
        looks = len(world.shares)
        some = max(200, runs if looks <= 300 else runs // 10)
        rng = np.random.default_rng((seed, number))
        equal = world.stream(rng, some)
        tolerable = replace(world, ratio=PARAMETERS.tolerated).stream(rng, some)
        table.row(
            name,
            looks,
            share(judged(equal, PARAMETERS, safe=False).worse < NEVER),
            share(judged(tolerable, PARAMETERS, safe=False).worse < NEVER),
            share(peeking(equal) < NEVER),
            share(static_bound(equal) < NEVER),
        )
    return table


def overdispersed(runs: int, seed: int) -> Table:
    """Where the theory does not promise 1 %: an arm's requests fail together for reasons of its own."""
    table = Table(
        "overdispersed",
        "No worse on average, but each arm has good and bad looks of its own (promised: nothing)",
        ("own scatter", "requests/s", "looks", "without guard", "judge, 1.0 times", "judge, 1.1 times"),
    )
    table.begin()
    number = 0
    for own, scatter in ((20.0, "22 %"), (5.0, "45 %"), (2.0, "71 %")):
        for requests, shares in ((67, growing(18)), (67, (0.1,) * 120), (667, growing(18))):
            number += 1
            rng = np.random.default_rng((seed, 100 + number))
            equal = World(requests, 0.005, shares, own=own).stream(rng, runs)
            tolerable = World(requests, 0.005, shares, own=own, ratio=1.1).stream(rng, runs)
            table.row(
                scatter,
                requests,
                len(shares),
                share(judged(equal, PARAMETERS, safe=False, guard=False).worse < NEVER),
                share(judged(equal, PARAMETERS, safe=False).worse < NEVER),
                share(judged(tolerable, PARAMETERS, safe=False).worse < NEVER),
            )
    return table


def between_pods(runs: int, seed: int) -> Table:
    """Pods differ and stay as they are. Played through the real judge."""
    table = Table(
        "between_pods",
        "No worse on average, but pods differ from each other and stay so (promised: nothing)",
        (
            "pods' scatter",
            "canary pods",
            "stable pods",
            "judge without pods",
            "judge with pods",
            "with pods, 3 times worse",
        ),
    )
    table.begin()
    worlds = [(0.0, 1, 9), (0.3, 1, 9), (0.3, 3, 9), (0.3, 10, 20), (0.7, 3, 9), (0.7, 10, 20)]
    for number, (scatter, ours, theirs) in enumerate(worlds):
        rng = np.random.default_rng((seed, 200 + number))
        without = [_pods_story(rng, scatter, ours, theirs, ratio=1.0, told=False) for _ in range(runs)]
        told = [_pods_story(rng, scatter, ours, theirs, ratio=1.0, told=True) for _ in range(runs)]
        worse = [_pods_story(rng, scatter, ours, theirs, ratio=3.0, told=True) for _ in range(runs)]
        table.row(f"{100 * scatter:g} %", ours, theirs, share(without), share(told), share(worse))
    return table


def _pods_story(rng: np.random.Generator, scatter: float, ours: int, theirs: int, *, ratio: float, told: bool) -> bool:
    """60 looks at 100 requests a second and 0.5 % failures, spread evenly over all pods."""
    shape = 1 / scatter**2 if scatter else 0.0
    health = rng.gamma(shape, 1 / shape, ours + theirs) if scatter else np.ones(ours + theirs)
    rates = 0.005 * health * np.where(np.arange(ours + theirs) < ours, ratio, 1.0)
    each = 3000 / (ours + theirs)
    state = CountsState()
    for _ in range(60):
        sent = rng.poisson(each, ours + theirs)
        bad = rng.binomial(sent, np.minimum(rates, 1))
        pods = [PodCount(f"p{i}", float(bad[i]), float(sent[i])) for i in range(ours + theirs)]
        look = CountsLook(
            Tally(float(bad[:ours].sum()), float(sent[:ours].sum())),
            Tally(float(bad[ours:].sum()), float(sent[ours:].sum())),
            30.0,
            None,
            tuple(pods[:ours]) if told else (),
            tuple(pods[ours:]) if told else (),
        )
        state = observe(PARAMETERS, state, look)
        if state.against.crossed:
            break
    return judge(PARAMETERS, state).verdict is Verdict.WORSE


def detection(runs: int, few: int, seed: int) -> Table:
    table = Table(
        "detection",
        "Half an hour at 10, 25 and 50 %: worse canaries that are undone, when, and what users meet until then",
        (
            "requests/s",
            "stable fails",
            "times worse",
            "judge",
            "static bound",
            "Mann-Whitney",
            "static, 1.0 times",
            "judge: median minutes",
            "static: median minutes",
            "judge: canary requests",
            "static: canary requests",
            "best",
        ),
    )
    table.begin()
    number = 0
    for requests in (1, 10, 100, 2000):
        for base in (0.0005, 0.002, 0.005, 0.01):
            for ratio in (1.5, 2.0, 5.0, 10.0):
                number += 1
                rng = np.random.default_rng((seed, 300 + number))
                stream = World(requests, base, PLAN, ratio=ratio).stream(rng, runs)
                ours, static = judged(stream, PARAMETERS, safe=False).worse, static_bound(stream)
                last = mann_whitney(stream, few)
                equal = World(requests, base, PLAN).stream(rng, runs)
                table.row(
                    requests,
                    f"{100 * base:g} %",
                    ratio,
                    share(ours < NEVER),
                    share(static < NEVER),
                    share(last),
                    share(static_bound(equal) < NEVER),
                    _minutes(ours),
                    _minutes(static),
                    mean(_served(stream, ours)),
                    mean(_served(stream, static)),
                    _best(ours, static, last),
                )
    return table


def _minutes(looks: np.ndarray) -> dict[str, float] | None:
    found = median_look(looks)
    if found is None:
        return None
    return {k: v if v >= NEVER else v / 2 for k, v in found.items()}


def _served(stream: Stream, undone: np.ndarray) -> np.ndarray:
    """Requests that the canary served until it was undone, or to the end."""
    until = np.minimum(undone, stream.canary.shape[1])
    return np.array(np.cumsum(stream.canary, axis=1)[np.arange(len(until)), until - 1])


def _best(ours: np.ndarray, static: np.ndarray, last: list[bool]) -> str:
    """Who undoes the most of them; where that is the same, who does it first. A tie within 2 % is one."""
    found = {"judge": np.mean(ours < NEVER), "static": np.mean(static < NEVER), "Mann-Whitney": np.mean(last)}
    top = max(found.values())
    if top < 0.02:
        return "none"
    leaders = [name for name, part in found.items() if part >= top - 0.02]
    if "judge" in leaders and "static" in leaders:
        sooner = np.median(ours) - np.median(static)
        leaders = ["judge"] if sooner < 0 else ["static"] if sooner > 0 else ["judge", "static"]
    elif len(leaders) > 1 and "Mann-Whitney" in leaders:
        leaders.remove("Mann-Whitney")
    return ", ".join(leaders)


def baseline_is_bad(runs: int, few: int, seed: int) -> Table:
    """What a static bound can't know: whether stable is any better."""
    table = Table(
        "no_worse",
        "The same half hour with a canary exactly as good as stable: undone",
        (
            "requests/s",
            "both fail",
            "judge",
            "static bound",
            "Mann-Whitney",
            "called safe",
            "judge: median minutes to safe",
        ),
    )
    table.begin()
    number = 0
    for requests in (1, 10, 100, 2000):
        for base in (0.0005, 0.005, 0.01, 0.05):
            number += 1
            rng = np.random.default_rng((seed, 500 + number))
            stream = World(requests, base, PLAN).stream(rng, runs)
            verdicts = judged(stream, PARAMETERS)
            table.row(
                requests,
                f"{100 * base:g} %",
                share(verdicts.worse < NEVER),
                share(static_bound(stream) < NEVER),
                share(mann_whitney(stream, few)),
                share(verdicts.safe < NEVER),
                _minutes(verdicts.safe),
            )
    return table


def wrongly_safe(runs: int, seed: int) -> Table:
    table = Table(
        "wrongly_safe",
        "A canary that fails twice as often as stable, called safe at some look (nominal 5 %)",
        ("requests/s", "stable fails", "called safe, negligible off", "with negligible 0.1 %"),
    )
    table.begin()
    plain = replace(PARAMETERS, negligible=0.0)
    for number, (requests, base) in enumerate(((10, 0.005), (100, 0.005), (100, 0.0005), (100, 0.0004), (2000, 0.01))):
        rng = np.random.default_rng((seed, 600 + number))
        stream = World(requests, base, PLAN, ratio=2.0).stream(rng, runs)
        table.row(
            requests,
            f"{100 * base:g} %",
            share(judged(stream, plain).safe < NEVER),
            share(judged(stream, PARAMETERS).safe < NEVER),
        )
    return table


def turned_sick(runs: int, seed: int) -> Table:
    """A canary that is well for half an hour first: what the evidence for it costs."""
    table = Table(
        "turned_sick",
        "Well for 30 minutes at 10 %, then worse for 30 more (100 requests/s, 0.5 %)",
        ("times worse", "undone", "median minutes after the change", "the same from the start"),
    )
    table.begin()
    for number, ratio in enumerate((2.0, 3.0, 5.0, 10.0)):
        rng = np.random.default_rng((seed, 700 + number))
        late = World(100, 0.005, (0.1,) * 120, ratio=ratio, worse_from=60).stream(rng, runs)
        early = World(100, 0.005, (0.1,) * 120, ratio=ratio).stream(rng, runs)
        at = judged(late, PARAMETERS, safe=False).worse
        after = _minutes(np.where(at < NEVER, at - 60, NEVER))
        table.row(ratio, share(at < NEVER), after, _minutes(judged(early, PARAMETERS, safe=False).worse))
    return table
