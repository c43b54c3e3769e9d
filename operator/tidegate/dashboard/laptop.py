"""The page on a laptop: the kubeconfig's user looks through a store of their own, kept by watches."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog

from tidegate.api import names
from tidegate.cluster.client import Client
from tidegate.cluster.informer import Informer
from tidegate.cluster.store import Store
from tidegate.dashboard.app import Page, make_app
from tidegate.dashboard.live import Live
from tidegate.dashboard.rights import Laptop
from tidegate.dashboard.serving import listen, serving
from tidegate.engine.kinds import RULES

_WATCHED = {names.ROLLOUT: "", "ReplicaSet": names.POD_TEMPLATE_HASH, names.ANALYSIS_RUN: "", "Experiment": ""}
_NEEDED = frozenset(_WATCHED) - {"Experiment"}
"""Kinds without which the page would show what is no longer so. Experiments may be left out: that is told."""


async def serve(client: Client, namespace: str, name: str, port: int, announce: Callable[[str], object]) -> None:
    """Serve on loopback until SIGINT or SIGTERM. Raises OSError where the port is taken.

    namespace: to look at; empty for all. name: what the visitor is called. announce: told the address to open.
    """
    # What the informers have to say stands on the page; between a person's own words in a terminal it would be noise.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    opened = listen("127.0.0.1", port)
    store = Store(RULES)
    informers = {
        kind: Informer(client, store, kind, namespace=namespace, label_selector=label)
        for kind, label in _WATCHED.items()
    }
    needed = [informers[kind] for kind in sorted(_NEEDED)]
    live = Live(store, namespace, problems=lambda: [one.problem for one in needed if one.problem])
    secret = secrets.token_urlsafe(24)
    number = opened.getsockname()[1]
    # Cookies do not tell ports apart: two pages on one laptop would sign each other out.
    page = Page(live, Laptop(client, name, secret), cookie=f"tidegate-{number}")
    following = [asyncio.create_task(informer.run()) for informer in informers.values()]
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for signal_ in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_, stop.set)
    try:
        async with serving(make_app(page), live, opened):
            announce(f"http://127.0.0.1:{number}/enter?key={secret}")
            await stop.wait()
    finally:
        for task in following:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*following, return_exceptions=True)
