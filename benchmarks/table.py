"""The figures of one run: as a table for people, as JSON for programs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from benchmarks.audit import by_kind, reads, writes
from benchmarks.stories import Idle, React, Storm


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run has found. idle, react: None where they were left out. load: before and after, of one minute."""

    controller: str
    floor_s: float
    storm: Storm
    idle: Idle | None
    react: React | None
    load: tuple[float, float]

    def as_json(self) -> dict[str, float | int | None]:
        """The figures by their agreed keys; null for what was left out."""
        storm, idle, react = self.storm, self.idle, self.react
        return {
            "floor_s": round(self.floor_s, 2),
            "storm_s": round(storm.seconds, 2),
            "storm_over_floor": round(storm.seconds / self.floor_s, 2),
            "cpu_ms_per_rollout": round(storm.cpu_ms, 1),
            "peak_mb": round(storm.peak_mb, 1),
            "writes_per_rollout": round(storm.writes, 2),
            "react_ms": round(react.react_ms, 1) if react else None,
            "first_weight_ms": round(react.first_weight_ms, 1) if react else None,
            "idle_writes": len(writes(idle.requests)) if idle else None,
            "idle_queries": idle.queries if idle else None,
        }


def show(figures: Figures) -> str:
    """The table, with the wanted limits beside the figures."""
    storm, idle, react = figures.storm, figures.idle, figures.react
    number = storm.rollouts
    rows = [
        ("floor", f"{figures.floor_s:.1f} s", "", f"{number} Deployments get a new image; mean of two"),
        ("storm", f"{storm.seconds:.1f} s", "", f"{number} Rollouts get a new image"),
        ("storm / floor", f"{storm.seconds / figures.floor_s:.2f}", "1.5", ""),
        ("CPU a Rollout", f"{storm.cpu_ms:.1f} ms", "30 ms", f"the update alone {storm.update_cpu_ms:.1f} ms"),
        ("peak memory", f"{storm.peak_mb:.1f} MB", "80 MB", "VmHWM, all processes of the controller"),
        ("writes a Rollout", f"{storm.writes:.1f}", "26", "birth to Healthy again, events apart"),
        ("reads a Rollout", f"{storm.reads:.1f}", "0", "birth to Healthy again, watches apart"),
    ]
    if react is not None:
        rows += [
            ("react", f"{react.react_ms:.0f} ms", "30 ms", "bad answer to weight 0, " + _spread(react.react)),
            (
                "first weight",
                f"{react.first_weight_ms:.0f} ms",
                "120 ms",
                "image to first weight, " + _spread(react.first_weight),
            ),
        ]
    if idle is not None:
        lease = sum(r.about_leases for r in idle.requests)
        rows += [
            (
                "idle writes",
                str(len(writes(idle.requests))),
                "0",
                f"in {idle.seconds:.0f} s, without {lease} of the lease",
            ),
            (
                "idle queries",
                str(idle.queries),
                "0",
                f"{len(reads(idle.requests))} reads, {idle.cpu_ms:.0f} ms CPU",
            ),
        ]
    heads = ("", figures.controller if len(figures.controller) < 20 else "measured", "wanted", "")
    lines = [f"{a:<17} {b:>10} {c:>8}   {d}".rstrip() for a, b, c, d in [heads, *rows]]
    return "\n".join([*lines, "", *_kinds(storm), "", _circumstances(figures)])


def _kinds(storm: Storm) -> list[str]:
    """Writes and reads by verb and kind, per Rollout."""
    told = [r for r in storm.requests if r.about_events]
    lines = ["requests a Rollout:"]
    for kind, count in by_kind([*writes(storm.requests), *reads(storm.requests), *told]).most_common():
        lines.append(f"  {count / storm.rollouts:6.2f}  {kind}")
    return lines


def _spread(values: list[float]) -> str:
    return f"median of {len(values)}, {min(values):.0f} to {max(values):.0f}"


def _circumstances(figures: Figures) -> str:
    before, after = figures.load
    return f"{os.cpu_count()} CPUs, load average {before:.1f} before and {after:.1f} after"
