"""`python -m tidegate.shell`: the operator's process, without the command line's libraries in its memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvloop

from tidegate.shell.logs import configure_logs
from tidegate.shell.settings import read_settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator; the exit code."""
    settings = read_settings(sys.argv[1:] if arguments is None else arguments)
    configure_logs(settings.log_format, settings.log_level)
    from tidegate.shell.admission import NoCertificate  # noqa: PLC0415 - flags are read before kopf is loaded
    from tidegate.shell.login import NoCredentials  # noqa: PLC0415
    from tidegate.shell.operator import run  # noqa: PLC0415

    try:
        uvloop.run(run(settings))  # TLS and timers in C: less memory and CPU than asyncio's own loop
    except (NoCredentials, NoCertificate) as error:
        sys.stderr.write(f"tidegate: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
