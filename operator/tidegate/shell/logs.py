"""One log for everything: structlog's own events and the standard library's, as JSON or for a person's eyes."""

from __future__ import annotations

import logging
import sys

from tidegate.light import without

with without("rich"), without("greenlet"):
    # structlog draws tracebacks with rich when it finds it: 7 MB for something that no log of ours has.
    import structlog

from structlog.typing import EventDict, WrappedLogger


def configure_logs(form: str, level: str) -> None:
    """Send every log line to stderr in one form (`json` or `console`)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Tracebacks without the variables that structlog would write down with them: one may hold a token.
    renderer: structlog.typing.Processor
    if form == "json":
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        shared.append(structlog.processors.ExceptionRenderer(plain))
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_kopf_extras],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # kopf tells of each handler call at INFO: two lines an event that say nothing.
    for name in ("kopf", "kopf.objects", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_kopf_extras(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """kopf hangs objects on its records that can't be written as JSON."""
    for extra in ("k8s_ref", "k8s_skip", "settings"):
        event.pop(extra, None)
    return event
