"""Whoever is being answered when a replica ends is not waited for without end."""

from __future__ import annotations

import asyncio
import time

from aiohttp import ClientSession, web

from tidegate.shell.health import serve


async def test_an_answer_that_does_not_come_to_its_end_is_cut_off() -> None:
    begun = asyncio.Event()

    async def dawdle(_: web.Request) -> web.Response:
        begun.set()
        await asyncio.sleep(3600)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", dawdle)
    runner, port = await serve(app, "127.0.0.1", 0)
    async with ClientSession() as scraper:
        asked = asyncio.create_task(scraper.get(f"http://127.0.0.1:{port}/"))
        await begun.wait()
        since = time.monotonic()
        await runner.cleanup()
        assert time.monotonic() - since < 10
        await asyncio.wait([asked])
        assert asked.exception() is not None
