"""Readiness probes: httpGet, tcpSocket and exec, with delay, period and thresholds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

from lab.kubelet.api import Object

EAGER_PERIOD = 0.2
"""Seconds between probes of a container that has not been ready yet. The real kubelet waits a period (10 s if not
given), which would only make every test slower."""


async def watch(container: Object, address: str, variables: Mapping[str, str], report: Callable[[bool], None]) -> None:
    """Probe until cancelled and report each change of readiness. The container starts as not ready."""
    probe = container["readinessProbe"]
    period = probe.get("periodSeconds", 10)
    needed = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    ready, ever, streak = False, False, 0
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    while True:
        passed = await once(container, address, variables)
        streak = streak + 1 if passed != ready else 0
        if streak >= needed[passed]:
            ready, streak = passed, 0
            ever = ever or ready
            report(ready)
        await asyncio.sleep(period if ever else min(period, EAGER_PERIOD))


async def once(container: Object, address: str, variables: Mapping[str, str]) -> bool:
    """One probe. Anything but a clear yes within timeoutSeconds is a no."""
    probe = container["readinessProbe"]
    try:
        async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
            if "httpGet" in probe:
                return await _http(probe["httpGet"], container, address)
            if "tcpSocket" in probe:
                return await _tcp(probe["tcpSocket"], container, address)
            return await _exec(probe["exec"]["command"], variables)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def _http(action: Object, container: Object, address: str) -> bool:
    reader, writer = await asyncio.open_connection(action.get("host", address), _port(action["port"], container))
    try:
        headers = "".join(f"{h['name']}: {h['value']}\r\n" for h in action.get("httpHeaders", []))
        writer.write(
            f"GET {action.get('path', '/')} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n".encode()
        )
        status = (await reader.readline()).split(b" ")
        return len(status) > 1 and 200 <= int(status[1]) < 400
    finally:
        writer.close()


async def _tcp(action: Object, container: Object, address: str) -> bool:
    _, writer = await asyncio.open_connection(address, _port(action["port"], container))
    writer.close()
    return True


async def _exec(command: list[str], variables: Mapping[str, str]) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            os.kill(process.pid, 9)


def _port(port: int | str, container: Object) -> int:
    if isinstance(port, int):
        return port
    for declared in container.get("ports", []):
        if declared.get("name") == port:
            return int(declared["containerPort"])
    return int(port) if port.isdigit() else 0
