"""What is known at one edge of a histogram, and its evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from . import tails
from .dispersion import FADING, Scatter
from .evidence import log_sum_exp, mixed, rarer_than

# Distances of the alternatives beyond the ratio that is spoken against, on the logarithmic scale, and their
# weights: the mixture of `counts` in fewer points, since each is kept for each edge.
_STEPS = (0.1, 0.2, 0.4, 0.7, 1.2, 2.2)
_LOG_STEP_WEIGHTS = tuple(math.log(w) for w in (0.15, 0.2, 0.25, 0.2, 0.13, 0.07))


@dataclass(frozen=True, slots=True)
class Edge:
    """What is known at one edge. against, favour: log e-values of the alternatives, not yet divided by the design
    effect.

    guess_slow, guess_total: fading sums of stable, for the guess of its share. canary_excess, stable_excess:
    unfading sums for the ratio.
    """

    canary_slow: float = 0.0
    stable_slow: float = 0.0
    against: tuple[float, ...] = (0.0,) * len(_STEPS)
    favour: tuple[float, ...] = (0.0,) * len(_STEPS)
    guess_slow: float = 0.0
    guess_total: float = 0.0
    canary_excess: float = 0.0
    stable_excess: float = 0.0
    scatter: Scatter = field(default_factory=Scatter)

    def seen(
        self, slow: float, canary: float, stable_slow: float, stable: float, *, tolerated: float, safe: float
    ) -> "Edge":
        if not canary or not stable:
            return replace(self, canary_slow=self.canary_slow + slow, stable_slow=self.stable_slow + stable_slow)
        guess = self.guess_slow / self.guess_total if self.guess_total else 0.0
        total, failed = canary + stable, slow + stable_slow
        share, rest = canary / total, 1 - failed / total

        def gained(sums: tuple[float, ...], rho: float, side: int) -> tuple[float, ...]:
            arms = (slow, canary, stable_slow, stable)
            return tuple(
                _short(s + tails.log_e(*arms, guess=guess, rho=rho, ratio=rho * math.exp(side * step)))
                for s, step in zip(sums, _STEPS, strict=True)
            )

        return Edge(
            canary_slow=self.canary_slow + slow,
            stable_slow=self.stable_slow + stable_slow,
            against=gained(self.against, tolerated, 1),
            favour=gained(self.favour, safe, -1),
            guess_slow=_short(FADING * self.guess_slow + stable_slow),
            guess_total=_short(FADING * self.guess_total + stable),
            canary_excess=_short(self.canary_excess + slow * (1 - share)),
            stable_excess=_short(self.stable_excess + stable_slow * share),
            scatter=_short_scatter(self.scatter.seen(share, slow, stable_slow, rest)) if rest > 0 else self.scatter,
        )

    def log_against(self, stretched: float = 1.0) -> float:
        return mixed([stretched * t / self.scatter.design_effect() for t in self.against], _LOG_STEP_WEIGHTS)

    def log_favour(self, canary_total: float, limit: float, stretched: float = 1.0) -> float:
        """Against "at least `safe` times stable's share, and at least `limit`". No more than half of it rests on the
        comparison, no more than half on the canary alone."""
        alone = rarer_than(limit, self.canary_slow, canary_total, self.scatter.design_effect() / stretched)
        return log_sum_exp((self._log_below(stretched), alone)) - math.log(2)

    def _log_below(self, stretched: float) -> float:
        return mixed([stretched * t / self.scatter.design_effect() for t in self.favour], _LOG_STEP_WEIGHTS)


def to_columns(at_edges: Sequence[Edge]) -> dict[str, Any]:
    """Names are told once, not at each edge."""
    columns: dict[str, Any] = {name: [getattr(e, name) for e in at_edges] for name in _COLUMNS}
    columns["scatter"] = {name: [getattr(e.scatter, name) for e in at_edges] for name in _SCATTER_COLUMNS}
    return columns


def from_columns(columns: dict[str, Any]) -> tuple[Edge, ...]:
    return tuple(
        Edge(
            scatter=Scatter(**{name: float(columns["scatter"][name][i]) for name in _SCATTER_COLUMNS}),
            **{name: _numbers(columns[name][i]) for name in _COLUMNS},
        )
        for i in range(len(columns["canary_slow"]))
    )


_COLUMNS = tuple(f.name for f in fields(Edge) if f.name != "scatter")
_SCATTER_COLUMNS = tuple(f.name for f in fields(Scatter))


def _numbers(value: Any) -> Any:
    return tuple(float(v) for v in value) if isinstance(value, list | tuple) else float(value)


def _short(value: float) -> float:
    """Nine digits: the state is read and written at every look, and the rest of a number would be most of it."""
    return float(f"{value:.9g}")


def _short_scatter(scatter: Scatter) -> Scatter:
    return Scatter(**{name: _short(getattr(scatter, name)) for name in _SCATTER_COLUMNS})
