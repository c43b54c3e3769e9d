"""One replica of the operator: log in, start the engine, let kopf watch, serve the pages, stop in good order."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from tidegate import __version__
from tidegate.cluster.credentials import Credentials
from tidegate.cluster.http_transport import HttpTransport
from tidegate.core.plan import Key
from tidegate.engine.engine import Engine, EngineSettings
from tidegate.observe.metrics import Metrics
from tidegate.observe.notify.threshold import Threshold
from tidegate.providers.registry import ProviderSettings, open_providers
from tidegate.shell.admission import Webhook
from tidegate.shell.handlers import make_registry, operator_settings, prime
from tidegate.shell.health import Pulse, make_app, serve
from tidegate.shell.light_kopf import kopf
from tidegate.shell.login import credentials
from tidegate.shell.settings import Settings

_KOPF_MAY_TAKE: Final = 8.0

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM. Raises when a part of the operator can't go on; a restart is due then."""
    found = credentials()

    async def login_again() -> Credentials:
        return await asyncio.to_thread(credentials)

    transport = HttpTransport(found, login=login_again, replica=settings.identity)
    metrics = Metrics(team_label=settings.team_label)
    engine = Engine(
        transport,
        open_providers(ProviderSettings(prometheus_address=settings.prometheus, on_query=metrics.queried)),
        engine_settings(settings),
        watching=metrics,
        on_overrun=_end_at_once,
    )
    desk = engine.desk(metrics.notified)
    messages = Threshold(desk, _now)
    engine.listen(messages)
    if settings.traces:
        from tidegate.observe.tracing import Tracer, otlp_exporter  # noqa: PLC0415 - for those who have a receiver

        engine.listen(Tracer(desk, otlp_exporter(settings.traces), _now, team_label=settings.team_label))
    pulse = Pulse()
    async with AsyncExitStack() as opened, AsyncExitStack() as serving:
        opened.push_async_callback(transport.close)
        pages, port = await serve(make_app(engine, metrics, pulse), settings.address, settings.port)
        serving.push_async_callback(pages.cleanup)
        webhook = await _open_webhook(engine, settings)
        if webhook:
            serving.push_async_callback(webhook.close)
        log.info("tidegate starts", version=__version__, identity=settings.identity, server=found.server, port=port)
        page = _page(engine, transport, found, settings)
        background = [pulse.run(), messages.run(), prime(engine), page, *([webhook.renew()] if webhook else [])]
        await _work(engine, transport, settings, background, serving)
    log.info("tidegate has stopped", identity=settings.identity)


async def _work(
    engine: Engine,
    transport: HttpTransport,
    settings: Settings,
    beside: Sequence[Coroutine[Any, Any, None]],
    serving: AsyncExitStack,
) -> None:
    """Act until told to stop. beside: what runs along with the engine and ends with it; serving: the servers, which are
    closed then.

    kopf is stopped last: it waits five seconds for tasks that are younger than it, and a connection that somebody keeps
    open is such a task.
    """
    # What is loaded now stays: the collector need not look at it again. What comes are mostly trees without cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    stop, stop_kopf = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        background = [group.create_task(work) for work in beside]
        work = group.create_task(engine.run(stop), name="engine")
        watch = group.create_task(_watch(engine, transport, settings, stop, stop_kopf), name="kopf")
        await work
        for task in background:
            task.cancel()
        await asyncio.wait(background)
        await serving.aclose()
        stop_kopf.set()
        await watch


async def _open_webhook(engine: Engine, settings: Settings) -> Webhook | None:
    """Every replica answers, for all have read everything; only acting is the leader's alone."""
    if not settings.webhook_certificates:
        return None
    webhook = Webhook(engine.reviewer, Path(settings.webhook_certificates))
    await webhook.open(settings.address, settings.webhook_port)
    return webhook


def _now() -> datetime:
    return datetime.now(UTC)


def _end_at_once(error: Exception) -> None:
    """Two replicas must never act. What could not be stopped in time would not be stopped by tidying up either."""
    log.critical("ending this process at once", error=str(error))
    os._exit(os.EX_SOFTWARE)


async def _page(engine: Engine, transport: HttpTransport, found: Credentials, settings: Settings) -> None:
    """Serve the web page, if there is to be one, until cancelled."""
    if not settings.page_port:
        return
    from tidegate.dashboard.beside_operator import PageSettings, serve_page  # noqa: PLC0415 - most have no page

    page = PageSettings(
        address=settings.page_address,
        port=settings.page_port,
        namespace=settings.namespace,
        hosts=settings.page_hosts.split(","),
        header=settings.page_token_header,
        anonymous=settings.page_anonymous,
    )

    def problems() -> list[str]:
        return [informer.problem for informer in engine.informers if informer.problem]

    await serve_page(page, engine.store, transport, found, problems=problems)


def engine_settings(settings: Settings) -> EngineSettings:
    """The engine's part of the settings."""
    lease = Key("Lease", settings.lease_namespace, settings.lease_name) if settings.leader_elect else None
    return EngineSettings(
        namespace=settings.namespace,
        home=settings.lease_namespace,
        instance_id=settings.instance_id,
        identity=settings.identity,
        lease=lease,
        argo_lease=settings.argo_lease_name if settings.heed_argo else "",
        argo_namespace=settings.argo_lease_namespace,
    )


async def _watch(
    engine: Engine, transport: HttpTransport, settings: Settings, stop: asyncio.Event, stop_kopf: asyncio.Event
) -> None:
    """Run kopf until `stop_kopf`. A signal sets `stop`.

    kopf takes the process's signals for itself and, when it ends, cancels every task that is younger than it. So its
    handlers are replaced by ours, and it is told to stop last.
    """
    ready = asyncio.Event()
    kopf_runs = asyncio.create_task(
        kopf.operator(
            registry=make_registry(engine, transport.server, transport.share_session()),
            settings=operator_settings(),
            standalone=True,
            clusterwide=not settings.namespace,
            namespaces=[settings.namespace] if settings.namespace else [],
            ready_flag=ready,
            stop_flag=stop_kopf,
        ),
        name="kopf operator",
    )
    is_ready = asyncio.create_task(ready.wait())
    await asyncio.wait({kopf_runs, is_ready}, return_when=asyncio.FIRST_COMPLETED)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({kopf_runs, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        # kopf has ended by itself: it gives up where it can't go on, and so must we, once the lease has been given up.
        stop.set()
        await stop_kopf.wait()
        await kopf_runs
        raise RuntimeError("kopf stopped watching")
    await stop_kopf.wait()
    await asyncio.wait({kopf_runs}, timeout=_KOPF_MAY_TAKE)
