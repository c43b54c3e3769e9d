"""The pictures of docs/judge.md."""

from pathlib import Path

import numpy as np

from benchmarks.judge.counting import PARAMETERS, PLAN
from benchmarks.judge.pictures import Line, chart
from benchmarks.judge.streams import World
from benchmarks.judge.vector import NEVER, judged, mann_whitney, peeking, static_bound
from tidegate.core.judge.evidence import needed


def draw(folder: Path, runs: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _peeking(folder / "judge-peeking.svg", runs, seed)
    _evidence(folder / "judge-evidence.svg", seed)
    _detection(folder / "judge-detection.svg", runs, seed)


def _peeking(path: Path, runs: int, seed: int) -> None:
    looks = 1000
    stream = World(100, 0.005, (0.1,) * looks).stream(np.random.default_rng((seed, 1)), runs)
    at = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000]
    found = {"a 1 % test at every look": peeking(stream), "the judge": judged(stream, PARAMETERS, safe=False).worse}
    lines = [Line(name, tuple((n, float(np.mean(v <= n))) for n in at)) for name, v in found.items()]
    chart(
        path,
        "A canary as good as stable: false alarms so far",
        "looks",
        "rollouts undone for nothing",
        lines,
        log_x=True,
        percent=True,
        level=(0.01, "the promised 1 %"),
    )


def _evidence(path: Path, seed: int) -> None:
    lines = []
    for number, (name, ratio) in enumerate((("5 times as often", 5.0), ("twice as often", 2.0), ("as often", 1.0))):
        stream = World(100, 0.005, PLAN, ratio=ratio).stream(np.random.default_rng((seed, 20 + number)), 1)
        path_of = judged(stream, PARAMETERS, safe=False, trace=True).against[0]
        points = [(0.0, 0.0)]
        for look, value in enumerate(path_of, 1):
            points.append((look / 2, float(value)))
            if value >= 8:
                break
        lines.append(Line(name, tuple(points)))
    chart(
        path,
        "Evidence against three canaries (100 requests/s, stable fails 0.5 %)",
        "minutes, at 10, 25 and 50 % of the traffic",
        "evidence (log e-value)",
        lines,
        level=(needed(0.01), "undone: 1 in 100"),
        y_range=(-6.0, 8.0),
    )


def _detection(path: Path, runs: int, seed: int) -> None:
    ratios = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0)
    found: dict[str, list[tuple[float, float]]] = {
        "judge": [],
        "99 % success, 5 failures": [],
        "Mann-Whitney at the end": [],
    }
    for number, ratio in enumerate(ratios):
        stream = World(20, 0.002, PLAN, ratio=ratio).stream(np.random.default_rng((seed, 40 + number)), runs)
        found["judge"].append((ratio, float(np.mean(judged(stream, PARAMETERS, safe=False).worse < NEVER))))
        found["99 % success, 5 failures"].append((ratio, float(np.mean(static_bound(stream) < NEVER))))
        found["Mann-Whitney at the end"].append((ratio, float(np.mean(mann_whitney(stream, max(50, runs // 20))))))
    chart(
        path,
        "Undone within half an hour (20 requests/s, stable fails 0.2 %)",
        "times as often as stable",
        "rollouts undone",
        [Line(name, tuple(points)) for name, points in found.items()],
        log_x=True,
        percent=True,
        y_range=(0.0, 1.0),
    )
