"""What the demo claims at its end: three releases, what became of them, and whether that is as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.demo.traffic import Count

LEAST_REQUESTS = 20_000
"""So many requests the good release must see; fewer would prove little."""

_EXPLANATION = """\
  Weight 0: from the first bad answer to a user until no user is led there,
  as declared (VirtualService; blue-green: active Service) and in Envoy"""

WEIGHTS = (10, 25, 50, 100)

Outcome = Literal["promoted", "undone", "flipped back"]


@dataclass(frozen=True, slots=True)
class Release:
    """One release of the story.

    wanted: how it should end. reached: whether it did. told: the Rollout's last word. users: all requests while it was
    on its way. Times are monotonic seconds, None if it did not happen: the first answer that failed, and when the new
    version's share became 0 as declared (VirtualService or active Service) and in Envoy.
    """

    title: str
    wanted: Outcome
    reached: bool
    told: str
    users: Count
    first_bad: float | None = None
    declared_zero: float | None = None
    envoy_zero: float | None = None

    @property
    def to_declared_ms(self) -> int | None:
        """Milliseconds from the first bad answer that a user got to share 0 as declared."""
        return _milliseconds(self.first_bad, self.declared_zero)

    @property
    def to_envoy_ms(self) -> int | None:
        """The same to share 0 in Envoy."""
        return _milliseconds(self.first_bad, self.envoy_zero)


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole story. good, bad, blue_green: in that order.

    users: all requests from the first to the last. weights, envoy_weights: what the good release's canary was given,
    in order, as the VirtualService had it and as Envoy had it. rate: requests a second that were asked for. skipped:
    requests that the load generator did not get to send.
    """

    good: Release
    bad: Release
    blue_green: Release
    users: Count
    weights: tuple[int, ...]
    envoy_weights: tuple[int, ...]
    rate: float
    skipped: int

    @property
    def releases(self) -> tuple[Release, Release, Release]:
        return self.good, self.bad, self.blue_green

    def problems(self) -> list[str]:
        """What did not go as it should, each as a sentence; empty if all did."""
        found = [f"{r.title}: not {r.wanted}. {r.told}" for r in self.releases if not r.reached]
        good = self.good
        if good.users.failed:
            found.append(f"{good.title}: {good.users.failed} of {good.users.requests:,} requests failed; none may.")
        if good.users.requests < LEAST_REQUESTS:
            found.append(f"{good.title}: saw {good.users.requests:,} requests only; {LEAST_REQUESTS:,} are wanted.")
        if self.weights != WEIGHTS:
            found.append(f"{good.title}: its weights were {_arrows(self.weights)} and not {_arrows(WEIGHTS)}.")
        for release in (self.bad, self.blue_green):
            if release.reached and release.first_bad is None:
                found.append(f"{release.title}: no user got a bad answer, so nothing was shown.")
            elif release.reached and (release.to_declared_ms is None or release.to_envoy_ms is None):
                found.append(f"{release.title}: its share did not go up and back to 0.")
        return found

    def remark(self) -> str:
        """What to know about this machine before trusting the figures; empty if nothing."""
        if not self.skipped:
            return ""
        return (
            f"This machine was too busy for {self.rate:.0f} requests a second: {self.skipped:,} were not sent. "
            "Nothing above counts them."
        )

    def as_json(self) -> dict[str, Any]:
        """For OUT=file.json. Times in milliseconds are of the release that was undone; null if it was not."""
        bad, blue_green = self.bad, self.blue_green
        return {
            "promoted": self.good.reached,
            "undone": bad.reached,
            "flipped_back": blue_green.reached,
            "requests": self.users.requests,
            "failed": self.users.failed,
            "requests_during_good_release": self.good.users.requests,
            "failed_during_good_release": self.good.users.failed,
            "bad_answer_to_virtualservice_ms": bad.to_declared_ms,
            "bad_answer_to_envoy_ms": bad.to_envoy_ms,
            "failed_during_bad_release": bad.users.failed,
            "flip_bad_answer_to_service_ms": blue_green.to_declared_ms,
            "flip_bad_answer_to_envoy_ms": blue_green.to_envoy_ms,
            "failed_during_flip": blue_green.users.failed,
            "weights_seen": list(self.weights),
            "weights_seen_in_envoy": list(self.envoy_weights),
            "requests_not_sent": self.skipped,
            "problems": self.problems(),
        }

    def table(self) -> RenderableType:
        """For people."""
        table = Table(
            box=SIMPLE_HEAD, title="  Three releases under real traffic", title_style="bold", title_justify="left"
        )
        table.add_column("Release")
        table.add_column("Outcome", no_wrap=True)
        for heading in ("Users'\nrequests", "\nFailed", "Weight 0\ndeclared", "Weight 0\nin Envoy"):
            table.add_column(heading, justify="right", no_wrap=True)
        for release in self.releases:
            outcome = f"[green]✔ {release.wanted}[/]" if release.reached else f"[red]✘ not {release.wanted}[/]"
            failed = release.users.failed
            table.add_row(
                release.title,
                outcome,
                f"{release.users.requests:,}",
                f"[{'red' if failed else 'green'}]{failed:,}[/]",
                _shown(release.to_declared_ms),
                _shown(release.to_envoy_ms),
            )
        return Group(table, Text(_EXPLANATION, style="dim"))


def weights_given(series: list[tuple[float, int]], since: float, until: float) -> tuple[int, ...]:
    """The distinct weights above 0 that a canary got between two times, in the order of their first appearance."""
    return tuple(dict.fromkeys(weight for at, weight in series if since <= at <= until and weight))


def _milliseconds(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else round((end - start) * 1000)


def _shown(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def _arrows(weights: tuple[int, ...]) -> str:
    return " → ".join(map(str, weights)) or "none"
