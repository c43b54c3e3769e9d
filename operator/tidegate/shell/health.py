"""/healthz, /readyz and /metrics: what the node and Prometheus ask."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from aiohttp import web

from tidegate.engine.engine import Engine
from tidegate.observe.metrics import Metrics

_LONGEST_LAG: Final = 30.0
_MAY_FINISH: Final = 3.0
"""Seconds that an answer under way may still take when the servers are closed."""


class Pulse:
    """Notices when the event loop stands still."""

    def __init__(self) -> None:
        self._beat = 0.0

    async def run(self) -> None:
        """Beat once a second until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._beat = loop.time()
            await asyncio.sleep(1)

    @property
    def lag(self) -> float:
        """Seconds since the last beat, less the second that lies between beats."""
        return max(0.0, asyncio.get_running_loop().time() - self._beat - 1) if self._beat else 0.0


def make_app(engine: Engine, metrics: Metrics, pulse: Pulse) -> web.Application:
    """The pages of one replica."""

    async def healthz(request: web.Request) -> web.Response:
        if pulse.lag > _LONGEST_LAG:
            return web.Response(status=500, text=f"the event loop has been standing still for {pulse.lag:.0f} s\n")
        return web.Response(text="ok\n")

    async def readyz(request: web.Request) -> web.Response:
        role = "leading" if engine.leading else "standing by"
        troubles = [f"{informer.kind}: {informer.problem}" for informer in engine.informers if informer.problem]
        aside = [f"standing aside: {engine.standing_aside}"] if engine.standing_aside else []
        text = "\n".join([role if engine.synced else "waiting for the first lists", *aside, *troubles])
        return web.Response(status=200 if engine.synced else 503, text=text + "\n")

    async def show_metrics(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": metrics.content_type})
        await answer.prepare(request)
        for piece in metrics.page(engine):
            await answer.write(piece)
            await asyncio.sleep(0)  # Work goes first: a thousand Rollouts make a long page.
        return answer

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
    return app


async def serve(
    app: web.Application, address: str, port: int, tls: ssl.SSLContext | None = None
) -> tuple[web.AppRunner, int]:
    """Serve until the runner is cleaned up; the port that it listens on."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_MAY_FINISH)
    await runner.setup()
    site = web.TCPSite(runner, address, port, ssl_context=tls)
    await site.start()
    listening: int = runner.addresses[0][1]
    return runner, listening
