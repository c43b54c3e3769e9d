"""The page of a running operator: it shows what the operator's store knows, to those who may see it.

The operator's own credentials serve reviews alone. A visitor's token goes to the API server over a connection that has
the operator's address and certificate authority, and nothing else of its credentials.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidegate.cluster.client import Client
from tidegate.cluster.credentials import Credentials
from tidegate.cluster.http_transport import HttpTransport
from tidegate.cluster.store import Store
from tidegate.cluster.transport import Transport
from tidegate.dashboard.app import Page, make_app
from tidegate.dashboard.live import Live
from tidegate.dashboard.rights import Tokens
from tidegate.dashboard.serving import listen, serving


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """How the page is served.

    address, port: where. namespace: the one that the store knows; empty for all. hosts: the names that people use for
    it, beside loopback's. header: in which a proxy hands on the visitor's token. anonymous: let those without a token
    see what system:anonymous may.
    """

    address: str
    port: int
    namespace: str = ""
    hosts: Sequence[str] = ()
    header: str = "authorization"
    anonymous: bool = False


def bare(credentials: Credentials, token: str) -> Credentials:
    """The way to the same API server with this token and no other credentials."""
    return Credentials(
        server=credentials.server,
        ca_path=credentials.ca_path,
        ca_data=credentials.ca_data,
        insecure=credentials.insecure,
        proxy_url=credentials.proxy_url,
        token=token,
    )


async def serve_page(
    settings: PageSettings,
    store: Store,
    transport: Transport,
    credentials: Credentials,
    *,
    problems: Callable[[], Sequence[str]],
) -> None:
    """Serve until cancelled. Raises OSError where the port is taken.

    transport: the operator's own, for reviews. problems: why the store is out of date, if it is.
    """
    reviewer = Client(transport, manager="tidegate-page")
    door = Tokens(reviewer, lambda token: HttpTransport(bare(credentials, token)), anonymous=settings.anonymous)
    live = Live(store, settings.namespace, problems=problems)
    app = make_app(Page(live, door, cookie="tidegate-token", header=settings.header), settings.hosts)
    async with serving(app, live, listen(settings.address, settings.port)):
        await asyncio.Event().wait()
