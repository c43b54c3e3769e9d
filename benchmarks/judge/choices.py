"""What the defaults were chosen by: the tolerated ratio, the mixture over effects, the guard against scatter."""

from dataclasses import replace

import numpy as np

from benchmarks.judge.counting import PARAMETERS
from benchmarks.judge.streams import World, growing
from benchmarks.judge.tables import Table, share
from benchmarks.judge.vector import NEVER, judged


def _gamma(scale: float) -> tuple[np.ndarray, np.ndarray]:
    effects = np.exp(np.linspace(np.log(0.08), np.log(3.6), 16))
    masses = effects**2 * np.exp(-effects / scale)
    return effects, np.log(masses / masses.sum())


def _even_grid() -> tuple[np.ndarray, np.ndarray]:
    """Ratios from 1.1 to 20 in even steps: most of the weight beyond 5 times."""
    return np.log(np.linspace(1.1, 20, 40)), np.full(40, -np.log(40))


def _even_logs() -> tuple[np.ndarray, np.ndarray]:
    return np.log(np.geomspace(1.1, 20, 40)), np.full(40, -np.log(40))


MIXTURES = {
    "even grid of ratios": _even_grid(),
    "even in the logarithm": _even_logs(),
    "gamma, scale 0.2": _gamma(0.2),
    "gamma, scale 0.35": _gamma(0.35),
    "gamma, scale 0.6": _gamma(0.6),
}


def tolerated_and_mixture(runs: int, seed: int) -> Table:
    """36,000 requests in 18 looks, a share growing from 5 to 50 %."""
    table = Table(
        "choices",
        "Undone in 18 looks at 67 requests/s, 5 to 50 %, by tolerated ratio and mixture, guard off",
        (
            "tolerated",
            "mixture",
            "0.5 %, 1.1 times",
            "0.5 %, 1.2 times",
            "0.5 %, 2 times",
            "0.1 %, 5 times",
            "0.5 %, 5 times",
        ),
    )
    table.begin()
    rng = np.random.default_rng((seed, 800))
    worlds = [(0.005, 1.1), (0.005, 1.2), (0.005, 2.0), (0.001, 5.0), (0.005, 5.0)]
    streams = [World(66.67, base, growing(18), ratio=ratio).stream(rng, runs) for base, ratio in worlds]
    for tolerated in (1.0, 1.1, 1.2, 1.25):
        for name, mixture in MIXTURES.items():
            parameters = replace(PARAMETERS, tolerated=tolerated)
            found = [
                share(judged(s, parameters, safe=False, guard=False, mixture=mixture).worse < NEVER) for s in streams
            ]
            table.row(tolerated, name, *found)
    return table


def tiny_differences(runs: int, seed: int) -> Table:
    """Much traffic proves any difference; the tolerated ratio says which ones matter."""
    table = Table(
        "tiny",
        "Undone in half an hour at 2,000 requests/s and 1 %, by tolerated ratio",
        ("tolerated", "1.0 times", "1.05 times", "1.1 times", "1.2 times", "1.5 times"),
    )
    table.begin()
    rng = np.random.default_rng((seed, 900))
    streams = [World(2000, 0.01, (0.25,) * 60, ratio=r).stream(rng, runs) for r in (1.0, 1.05, 1.1, 1.2, 1.5)]
    for tolerated in (1.0, 1.1, 1.25):
        parameters = replace(PARAMETERS, tolerated=tolerated)
        table.row(tolerated, *(share(judged(s, parameters, safe=False).worse < NEVER) for s in streams))
    return table
