"""The page as a server inside a process that has other things to do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from tidegate.dashboard.guard import App
from tidegate.dashboard.live import Live


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone: they are somebody else's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((address, port))
        opened.listen(128)
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened


@asynccontextmanager
async def serving(app: App, live: Live, at: socket.socket) -> AsyncIterator[None]:
    """Serve in the block."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[at]), name="page")
    try:
        yield
    finally:
        live.close()
        server.should_exit = True
        await running
        at.close()
