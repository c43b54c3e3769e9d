"""The private network in which a lab lives.

A lab's pods need addresses of their own (the API server refuses loopback addresses as endpoints) and its servers fixed
ports. A network namespace inside a user namespace gives both without root, and a process namespace around them
guarantees that nothing outlives the lab, however it ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import getpass
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lab.paths import REPOSITORY, LabError

MARKER = "TIDEGATE_LAB_NETNS"
"""Set inside to the id, outside the namespace, of a process whose /proc/ID/ns leads in (for nsenter)."""

POD_NETWORK = "10.244.0.0"
POD_NETMASK = "255.255.0.0"
GATEWAY_ADDRESS = "10.244.0.2"

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_IFF_UP = 0x1
_MS_BIND = 4096
_CLONE_NEWNET = 0x40000000
_RESOLVER = "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"


def inside() -> bool:
    """Whether this process is in a lab namespace: the marker alone could be inherited, so a pod address is tried."""
    if MARKER not in os.environ:
        return False
    with socket.socket() as probe:
        try:
            probe.bind((GATEWAY_ADDRESS, 0))
        except OSError:
            return False
    return True


def require_inside() -> None:
    if not inside():
        raise LabError(
            "A lab runs only inside its own network namespace. "
            "Start the command through `make test`, `make lab` or `python -m lab enter -- COMMAND`."
        )


def enter_command() -> str:
    """How a person opens a shell in this namespace from another terminal."""
    return f"nsenter --preserve-credentials --user --net --target {os.environ[MARKER]}"


def enter(command: Sequence[str], *, new: bool = False) -> NoReturn:
    """Replace this process by `command` inside a lab namespace: the present one, else (or if `new`) a fresh one."""
    if inside() and not new:
        _exec(command)
    unshare = shutil.which("unshare")
    if unshare is None:
        raise LabError("The command `unshare` is missing. It is part of the package util-linux.")
    _check_allowed(unshare)
    search = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, MARKER: str(os.getpid()), "PYTHONPATH": os.pathsep.join(search)}
    # Inside everybody is root; what is named after the user, such as pytest's directory in /tmp, should stay theirs.
    environment.setdefault("LOGNAME", _user())
    flags = ["-Urn", "--pid", "--fork", "--kill-child", "--mount-proc"]
    init = [sys.executable, "-m", "lab", "init", "--", *command]
    os.execve(unshare, [unshare, *flags, *init], environment)  # noqa: S606 - a shell would gain nothing


def part() -> None:
    """Leave this lab namespace's network for another such one, so that a second lab can run beside the first.

    Takes this thread along, and all threads and processes that it starts from now on. Raises LabError.
    """
    require_inside()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise LabError(f"A second network can't be made: {os.strerror(ctypes.get_errno())}.")
    _set_up_loopback()


def init(command: Sequence[str]) -> int:
    """Be process 1 of the namespace: set up its network, run `command`, and reap what it leaves. Returns its exit code.

    Process 1 gets no signal that it has no handler for, so the ones that mean "stop" are passed on.
    When it ends the kernel kills every process left in the namespace.
    """
    _set_up_loopback()
    _set_up_names()
    child = subprocess.Popen(command)

    def pass_on(number: int, _: object) -> None:
        child.send_signal(number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the child as well
    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGHUP, pass_on)
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in some containers
        return str(os.getuid())


def _exec(command: Sequence[str]) -> NoReturn:
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - a shell would gain nothing
    except OSError as error:
        raise LabError(f"{command[0]} can't be started: {error.strerror}.") from error


def _check_allowed(unshare: str) -> None:
    trial = subprocess.run(
        [unshare, "-Urn", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode == 0:
        return
    reasons = [
        f"{name} is {value}; `sudo sysctl -w {name}={wanted}` allows it"
        for name, wanted, refused in (
            ("kernel.unprivileged_userns_clone", "1", "0"),
            ("kernel.apparmor_restrict_unprivileged_userns", "0", "1"),
            ("user.max_user_namespaces", "15000", "0"),
        )
        if (value := _sysctl(name)) == refused
    ]
    hint = "; ".join(reasons) or (
        "no sysctl forbids it, so it is probably a container's seccomp profile "
        "(Docker: --security-opt seccomp=unconfined) or a masked /proc"
    )
    raise LabError(
        f"This system does not let you create a user namespace, which the lab needs ({trial.stderr.strip()}): {hint}."
    )


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None


def _set_up_names() -> None:
    """Let names be asked for at the lab's own server (`lab.kubelet.names`): the machine's can't be reached from here.

    The file is laid over the machine's in this mount namespace alone, which `unshare --mount-proc` made.
    """
    resolver = Path("/etc/resolv.conf")
    # A lab inside a lab has it already, and nothing can be laid over a file that has no name any more.
    if not resolver.exists() or resolver.read_text() == _RESOLVER:
        return
    with tempfile.NamedTemporaryFile("w") as ours:
        ours.write(_RESOLVER)
        ours.flush()
        source, target = ours.name.encode(), os.fsencode(resolver.resolve())
        if ctypes.CDLL(None, use_errno=True).mount(source, target, None, _MS_BIND, None):
            raise LabError(f"{resolver} can't be laid over: {os.strerror(ctypes.get_errno())}.")


def _set_up_loopback() -> None:
    """Bring `lo` up and give it the pod network: on loopback the whole /16 is then local, with no set-up per pod."""

    def request(interface: str, payload: bytes) -> bytes:
        return struct.pack("16s16s", interface.encode(), payload)

    def address(value: str) -> bytes:
        return struct.pack("H2s4s8x", socket.AF_INET, b"", socket.inet_aton(value))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request("lo", b""))
        (flags,) = struct.unpack_from("H", answer, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, request("lo", struct.pack("H", flags | _IFF_UP)))
        fcntl.ioctl(control, _SIOCSIFADDR, request("lo:lab", address(POD_NETWORK)))
        fcntl.ioctl(control, _SIOCSIFNETMASK, request("lo:lab", address(POD_NETMASK)))
