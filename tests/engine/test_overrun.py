"""A leader that can't stop its work in time ends, rather than waits.

The wrong program that this catches: one that tidies up for as long as that takes while another replica already acts.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tidegate.cluster.lease import LeadershipOverrunError
from tidegate.core.plan import Key
from tidegate.engine.engine import Engine, EngineSettings


class Nothing:
    """Stands for the transport and the providers, which are not asked."""

    async def close(self) -> None:
        pass


async def test_given_work_that_does_not_stop_when_leadership_ends_then_the_process_is_told_to_end_first() -> None:
    told: list[Exception] = []
    settings = EngineSettings(lease=Key("Lease", "default", "lock"))
    engine = Engine(Nothing(), Nothing(), settings, on_overrun=told.append)  # type: ignore[arg-type]
    engine.informers.clear()
    overrun = LeadershipOverrunError("work went on")

    async def run(_: asyncio.Event) -> None:
        raise overrun

    engine.elector.run = run  # type: ignore[union-attr, method-assign]

    with pytest.raises(ExceptionGroup):
        await engine.run(asyncio.Event())
    assert told == [overrun]


def test_given_the_shell_when_told_then_it_ends_in_the_middle_of_everything() -> None:
    code = """
from tidegate.shell import operator
try:
    operator._end_at_once(RuntimeError("work went on"))
finally:
    print("tidied up")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 70
    assert "work went on" in ended.stdout + ended.stderr
    assert "tidied up" not in ended.stdout
