"""The statistics themselves, against scipy, numerical integration and exact enumeration."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.stats import binom, binomtest, nct, norm, poisson, t

from tidegate.core.judge import draws, tails
from tidegate.core.judge.dispersion import PodCount, Scatter, pod_variance, pods_share
from tidegate.core.judge.evidence import EFFECTS, LOG_WEIGHTS, log_sum_exp, mixed, needed, p_value, rarer_than
from tidegate.core.judge.samples import PRIOR_PRECISION, t_evidence


def test_the_mixture_is_a_distribution_over_worse_ratios() -> None:
    assert math.fsum(math.exp(w) for w in LOG_WEIGHTS) == pytest.approx(1, abs=1e-12)
    assert all(d > 0 for d in EFFECTS)
    middle = math.exp(math.fsum(math.exp(w) * d for d, w in zip(EFFECTS, LOG_WEIGHTS, strict=True)))
    assert 1.8 < middle < 2.2


def test_logarithms_of_sums_do_not_overflow() -> None:
    assert log_sum_exp([1000.0, 1000.0]) == pytest.approx(1000 + math.log(2))
    assert log_sum_exp([]) == -math.inf
    assert mixed([0.0] * len(EFFECTS)) == pytest.approx(0, abs=1e-12)
    assert (p_value(-1.0), p_value(needed(0.01))) == (1.0, pytest.approx(0.01))


@pytest.mark.parametrize(("limit", "total"), [(0.001, 40), (0.2, 30)])
@pytest.mark.parametrize("factor", [1.0, 1.5, 4.0])
def test_evidence_for_a_rare_failure_is_one_at_most_on_average_if_it_is_not_rare(
    limit: float, total: int, factor: float
) -> None:
    expected = math.fsum(
        binom.pmf(k, total, limit * factor) * math.exp(rarer_than(limit, k, total)) for k in range(total + 1)
    )
    assert expected <= 1 + 1e-12
    if factor == 1:
        assert expected == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("canary", "stable"), [(3, 8), (7, 5), (1, 12)])
@pytest.mark.parametrize(("rho", "ratio"), [(1.0, 1.5), (1.25, 1.4), (1.25, 8.0), (2.0, 1.2), (2.0, 0.3)])
@pytest.mark.parametrize("guess", [0.0, 0.02, 0.4, 0.99])
def test_evidence_at_an_edge_is_one_at_most_on_average_whatever_the_guess(
    canary: int, stable: int, rho: float, ratio: float, guess: float
) -> None:
    """Every outcome of a look, at shares all over the half plane that is spoken against."""
    values = {
        (c, b): math.exp(tails.log_e(c, canary, b, stable, guess=guess, rho=rho, ratio=ratio))
        for c, b in itertools.product(range(canary + 1), range(stable + 1))
    }
    side = 1 if ratio > rho else -1
    for b_share, beyond in itertools.product((0.001, 0.05, 0.3, 0.5, 0.8, 0.99), (1.0, 0.7, 0.2)):
        a_share = rho * b_share * (beyond if side > 0 else 1 / beyond)
        if a_share > 1:
            continue
        expected = math.fsum(
            binom.pmf(c, canary, a_share) * binom.pmf(b, stable, b_share) * value for (c, b), value in values.items()
        )
        assert expected <= 1 + 1e-9


def test_the_border_point_is_the_nearest_one_in_divergence() -> None:
    """What makes it an e-value (Turner, Ly and Gruenwald): the alternative's projection."""
    canary, stable, rho, ratio, guess = 100.0, 900.0, 1.25, 2.0, 0.2
    k = canary / stable * (1 - guess) / (1 - rho * guess)
    step = guess * (ratio - rho) / (1 + ratio * k)
    a, b = rho * guess + step, guess - k * step
    assert a / b == pytest.approx(ratio, rel=1e-12)

    def slope(s: float) -> float:
        """Of the divergence, which is convex: p·log(p/q) + (1-p)·log((1-p)/(1-q)) of both arms."""
        of_canary = canary * rho * (rho * s - a) / (rho * s * (1 - rho * s))
        return of_canary + stable * (s - b) / (s * (1 - s))

    assert optimize.brentq(slope, 0.01, 0.79, xtol=1e-14) == pytest.approx(guess, rel=1e-9)


def test_for_rare_failures_an_edge_is_judged_as_counts_are() -> None:
    c, n, b, m, rho, ratio = 12.0, 1000.0, 40.0, 9000.0, 1.1, 2.5
    share = n / (n + m)
    as_counts = c * math.log(ratio / rho) - (c + b) * math.log((share * ratio + 1 - share) / (share * rho + 1 - share))
    assert tails.log_e(c, n, b, m, guess=0.0, rho=rho, ratio=ratio) == pytest.approx(as_counts, abs=1e-4)


@pytest.mark.parametrize(("t_value", "n", "degrees"), [(2.0, 10.0, 9.0), (4.0, 30.0, 29.0), (3.0, 2.25, 10.0)])
def test_the_t_evidence_is_the_integral_it_stands_for(t_value: float, n: float, degrees: float) -> None:
    def integrand(effect: float) -> float:
        prior = norm.pdf(effect, scale=1 / math.sqrt(PRIOR_PRECISION))
        return float(nct.pdf(t_value, degrees, effect * math.sqrt(n)) * prior)

    peak = t_value / math.sqrt(n)
    parts = ((-14, -3), (-3, 0), (0, peak), (peak, peak + 2), (peak + 2, 14))
    marginal = sum(integrate.quad(integrand, *part, limit=400, epsabs=1e-14, epsrel=1e-12)[0] for part in parts)
    expected = math.log(marginal / t.pdf(t_value, degrees))
    variance = 0.04
    assert t_evidence(t_value * math.sqrt(variance), variance, n, degrees) == pytest.approx(expected, abs=1e-9)


def test_a_mean_on_the_good_side_is_no_evidence() -> None:
    assert t_evidence(-0.5, 0.01, 10, 9) == 0.0
    assert t_evidence(0.5, 0.01, 10, 0) == 0.0


def test_pods_that_scatter_as_chance_has_it_have_no_variance() -> None:
    assert pod_variance([PodCount("a", 10, 1000), PodCount("b", 10, 1000)]) == 0.0
    assert pod_variance([PodCount("a", 10, 1000)]) == 0.0
    assert pod_variance([PodCount("a", 0, 1000), PodCount("b", 0, 1000)]) == 0.0


def test_the_variance_between_pods_is_the_moment_estimate() -> None:
    pods = [PodCount("a", 30, 1000), PodCount("b", 8, 500), PodCount("c", 70, 1500)]
    rate, total = 108 / 3000, 3000
    chi2 = sum((p.bad - p.total * rate) ** 2 / (p.total * rate * (1 - rate)) for p in pods)
    weight = rate / (1 - rate) * (total - sum(p.total**2 for p in pods) / total)
    assert pod_variance(pods) == pytest.approx((chi2 - 2) / weight, rel=1e-12)
    assert pods_share(pods) == pytest.approx((1000**2 + 500**2 + 1500**2) / 3000**2)


def test_steady_looks_have_no_design_effect_and_scattering_ones_do() -> None:
    steady, wild = Scatter(), Scatter()
    for i in range(40):
        steady = steady.seen(0.1, 1.0, 9.0)
        wild = wild.seen(0.1, 6.0 if i % 2 else 0.0, 9.0)
    assert steady.design_effect() == 1.0
    assert wild.design_effect() > 2


def test_one_look_of_much_traffic_is_taken_for_as_uncertain_as_looks_are() -> None:
    one = Scatter().seen(0.5, 500.0, 500.0)
    assert one.design_effect() == pytest.approx(1 + 0.1 * 250)
    assert Scatter().seen(0.5, 1.0, 1.0).design_effect() == pytest.approx(1 + 0.1 * 0.5)


def test_a_canary_that_turns_sick_does_not_pass_for_one_that_scatters() -> None:
    scatter = Scatter()
    for i in range(60):
        scatter = scatter.seen(0.1, 1.5 if i < 30 else 15.0, 13.5)
    assert scatter.design_effect() < 3


@given(st.floats(0.01, 40), st.floats(0.0001, 0.9999))
def test_drawn_counts_are_poisson_quantiles(mean: float, uniform: float) -> None:
    assert abs(draws.poisson(mean, uniform) - poisson.ppf(uniform, mean)) <= (
        0 if abs(poisson.cdf(draws.poisson(mean, uniform), mean) - uniform) > 1e-9 else 1
    )


@given(st.floats(41, 1e5), st.floats(0.001, 0.999))
def test_large_ones_nearly(mean: float, uniform: float) -> None:
    assert abs(draws.poisson(mean, uniform) - poisson.ppf(uniform, mean)) <= 1


def test_uniforms_are_those_of_splitmix64() -> None:
    """The first outputs for the seed 1234567, as its authors' C code prints them."""
    stream = draws.uniforms(1234567)
    published = (6457827717110365317, 3203168211198807973, 9817491932198370423)
    assert [next(stream) for _ in published] == [((v >> 11) + 0.5) / 2**53 for v in published]


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (3, 10), (10, 10), (17, 4000)])
def test_intervals_of_shares_are_wilsons(hits: int, of: int) -> None:
    theirs = binomtest(hits, of).proportion_ci(0.95, method="wilson")
    assert draws.wilson(hits, of) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert draws.wilson(0, 0) == (0.0, 1.0)
