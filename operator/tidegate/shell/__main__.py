"""`python -m tidegate.shell`: the operator's process, without the command line's libraries in its memory."""

from __future__ import annotations

import asyncio
import sys
from asyncio.sslproto import SSLProtocol
from collections.abc import Sequence
from typing import Final

from tidegate.shell.logs import configure_logs
from tidegate.shell.settings import read_settings

_TLS_BUFFER: Final = 32 * 1024
"""Bytes that each connection reads at a time; twice what a TLS record has."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator; the exit code."""
    settings = read_settings(sys.argv[1:] if arguments is None else arguments)
    configure_logs(settings.log_format, settings.log_level)
    from tidegate.shell.admission import NoCertificate  # noqa: PLC0415 - flags are read before kopf is loaded
    from tidegate.shell.login import NoCredentials  # noqa: PLC0415
    from tidegate.shell.operator import run  # noqa: PLC0415

    try:
        # Else each of some thirty connections holds 256 KiB from its beginning to its end.
        SSLProtocol.max_size = _TLS_BUFFER
        asyncio.run(run(settings))
    except (NoCredentials, NoCertificate) as error:
        sys.stderr.write(f"tidegate: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
