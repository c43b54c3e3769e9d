"""`make judge`: simulations of the judge. OUT=file.json keeps the figures, QUICK=1 takes a minute, PICTURES=folder
draws."""

import json
import os
import sys
import time
from pathlib import Path

from benchmarks.judge import choices, counting, gauging
from benchmarks.judge.drawings import draw

SEED = 20261127


def main() -> int:
    quick = bool(os.environ.get("QUICK"))
    runs, few, real = (1000, 20, 30) if quick else (20_000, 100, 250)
    started = time.process_time()
    print("# The judge, simulated\n\nShares and means with 95 % intervals; medians with those of their ranks.")
    tables = [
        counting.false_alarms(runs, SEED),
        counting.overdispersed(runs // 4, SEED),
        counting.between_pods(real, SEED),
        counting.wrongly_safe(runs // 4, SEED),
        counting.baseline_is_bad(runs // 10, few, SEED),
        counting.detection(runs // 10, few, SEED),
        counting.turned_sick(runs // 10, SEED),
        gauging.latency(real, SEED),
        gauging.gauges(real, SEED),
        choices.tolerated_and_mixture(runs // 5, SEED),
        choices.tiny_differences(runs // 20, SEED),
    ]
    if folder := os.environ.get("PICTURES"):
        draw(Path(folder), runs // 10, SEED)
    seconds = time.process_time() - started
    played = f"{runs} rollouts where counts are played without pods, fewer in some tables; Mann-Whitney on {few}"
    print(f"\n{seconds / 60:.1f} minutes of one core; seed {SEED}; {played}.")
    if out := os.environ.get("OUT"):
        figures = {t.name: {"title": t.title, "rows": t.rows} for t in tables}
        Path(out).write_text(json.dumps({"seed": SEED, "cpu_seconds": seconds, "tables": figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
