"""Where kopf can't go on, the process ends, and the lease is given up first: another replica need not wait for it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tidegate.shell import operator
from tidegate.shell.settings import Settings


@pytest.mark.parametrize("failure", [None, PermissionError("no more")])
async def test_when_kopf_ends_the_engine_lets_go_before_the_error_is_raised(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    done: list[str] = []

    async def watch(**_: Any) -> None:
        if failure is not None:
            raise failure

    async def act(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.05)
        done.append("let go")

    async def page() -> None:
        done.append("closed")

    monkeypatch.setattr(operator, "kopf", SimpleNamespace(operator=watch))
    monkeypatch.setattr(operator, "make_registry", lambda *_: None)
    for name in ("collect", "freeze", "set_threshold"):
        monkeypatch.setattr(operator.gc, name, lambda *_: None)
    engine = cast(Any, SimpleNamespace(run=act))
    transport = cast(Any, SimpleNamespace(server="", share_session=lambda: None))
    async with AsyncExitStack() as serving:
        serving.push_async_callback(page)
        with pytest.raises(ExceptionGroup) as raised:
            await operator._work(engine, transport, Settings(), [asyncio.sleep(3600)], serving)
    assert raised.group_contains(type(failure) if failure else RuntimeError)
    assert done == ["let go", "closed"]
