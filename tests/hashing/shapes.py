"""Objects made from the field table: each field on its own, and anything that fits together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tidegate.core.hashing.fields import TABLE


def words(text: str) -> list[str]:
    return text.split()


# Every text that the API server fills in as a default, and texts that are hard to write.
DEFAULT_TEXTS = words(
    "Always IfNotPresent ClusterFirst default-scheduler File /dev/termination-log TCP / HTTP v1 default rbd admin "
    "/etc/ceph/keyring ReadWrite ext4 Shared xfs ThinProvisioned Filesystem"
)
ODD_TEXTS = ["", "a", "<&>", "\u2028\u2029é😀", '\x00\b\f\n\r\t\x1f\x7f"\\/', "0", "null"]
DEFAULT_NUMBERS = [1, 3, 10, 30, 420, 3600]
QUANTITIES: list[str | int | float] = [
    *words("0 1 10 100 1000 1500 0.5 0.25 1.234 1.2345 .5 1. . - + +5 -5 -1.5 00 007 0.0 0.000 0.001 1000m 1500m"),
    *words("1u 1000u 1n 999n 0.1n 0.0000000001 -0.1n 1k 1000k 1M 1G 1T 1P 1E 1000E 10E 12345678901234567890"),
    *words("1Ki 8Ki 1000Ki 1024Ki 1023Ki 1024Mi 1025Mi 1Gi 1Ti 1Pi 1Ei 8Ei 16Ei 7.5Ei 0.5Gi .5Gi 0.5Ki 1.5Ki 0.1Ki"),
    *words("0.0001Ki -1024Mi -0.5Gi -8Ki 99Ti 100Ti 12345678901Ki 0.3Mi 1e3 1E3 1e-3 1e+3 1e0 5e-9 5e-10 5e-12 1.5e3"),
    *words("1000e3 123456789012345678901234e-20 1234567890123456789e3 1e18 1e19 1e100 0e5 Ki m 100m 10240000 1048576"),
    *words("1e 1i 1GiB 1Gi5 1.2.3 1,5 abc 0x10 1_000 +99Ti +999Ti 1.0Ki 1.5Mi \u0661"),
    "",
    " 1 ",
    "4Gi\n",
    0,
    1,
    -3,
    1000,
    2**40,
    *(FLOATS := [0.5, 0.1, 1.234, 1e-7, 1.5e-9, 1e-6, 5e-6, 2.5e-5, 1e20, 1.2e20, 1e21, 1.5e22, -2.5e30]),
]
TIMES = [
    "2024-02-29T23:59:59Z",
    "2024-01-01T00:00:00.999+02:00",
    "0001-01-01T00:00:00Z",
    "1999-12-31T23:00:00-05:30",
    "2024-02-30T00:00:00Z",
    "2024-01-01",
    "noon",
    "",
]

VALUES: dict[str, list[Any]] = {
    "string": [*ODD_TEXTS, *DEFAULT_TEXTS],
    "bool": [False, True],
    "int32": [0, -1, 2**31 - 1, -(2**31), *DEFAULT_NUMBERS],
    "int64": [0, -1, 2**63 - 1, -(2**63), *DEFAULT_NUMBERS],
    "quantity": QUANTITIES,
    "intorstring": [0, 8080, -1, "http", "25%", "80"],
    "time": TIMES,
    "raw": [
        {},
        {"b": 1, "a": {"<": [1.5, 1e21, 1e-7, 2**60, True, None, "&"]}},
        [],
        "",
        0,
        False,
        1e300,
        912500000.125,
    ],
}


def fields() -> dict[str, list[tuple[str, str]]]:
    """Struct -> its fields and their kinds, without the marks for what is dropped when empty."""
    structs: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in TABLE.splitlines():
        if line.startswith(" "):
            field, kind = line.split()
            structs[name].append((field, kind.rstrip("?!")))
        else:
            name = line
            structs[name] = []
    return structs


STRUCTS = fields()


def each_alone(kind: str, few: bool = False) -> Iterator[Any]:
    """Values of a kind in which one thing at a time is set, down to every leaf; None stands for null."""
    if kind.startswith("*"):
        yield from each_alone(kind[1:], few)
    elif kind.startswith("[]"):
        yield from ([], [None])
        yield from ([value] for value in each_alone(kind[2:], few))
    elif kind.startswith("{}"):
        yield from ({}, {"k": None})
        yield from ({"k": value} for value in each_alone(kind[2:], few))
    elif kind in VALUES:
        yield from VALUES[kind][:: 7 if few else 1]
    else:
        yield {}
        for name, inner in STRUCTS[kind]:
            if inner != "raw":  # a plugin's config is an object, the API server takes no null for it
                yield {name: None}
            # What containers have, init and ephemeral containers have too: a few values show that they are wired.
            fewer = few or name in ("initContainers", "ephemeralContainers")
            yield from ({name: value} for value in each_alone(inner, fewer))


def everything(kind: str) -> Any:
    """A value of a kind with every field set, which shows their order."""
    if kind.startswith("*"):
        return everything(kind[1:])
    if kind.startswith("[]"):
        return [everything(kind[2:])]
    if kind.startswith("{}"):
        return {"k": everything(kind[2:])}
    if kind in VALUES:
        return VALUES[kind][1]
    return {name: everything(inner) for name, inner in reversed(STRUCTS[kind])}


@cache
def anything(kind: str) -> st.SearchStrategy[Any]:
    """Values of a kind with any few of their fields set, at times to null, and with fields that nobody knows."""
    if kind.startswith("*"):
        return anything(kind[1:])
    if kind.startswith("[]"):
        return st.lists(_or_null(kind[2:]), max_size=2)
    if kind.startswith("{}"):
        keys = st.sampled_from(["b", "a", "<", "é", "😀", "a.b/c", "B", "\uffee"])
        return st.dictionaries(keys, _or_null(kind[2:]), max_size=3)
    if kind in VALUES:
        drawn = st.sampled_from(VALUES[kind])
        if kind == "string":
            return drawn | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
        return drawn
    return _struct(kind)


@st.composite
def _struct(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(STRUCTS[kind]), max_size=4, unique=True)) if STRUCTS[kind] else []
    made = {name: draw(anything(inner) if inner == "raw" else _or_null(inner)) for name, inner in chosen}
    if draw(st.booleans()):
        made["notAField"] = {"x": [1]}
    return made


def _or_null(kind: str) -> st.SearchStrategy[Any]:
    return st.none() | anything(kind) if kind in VALUES else anything(kind) | anything(kind) | st.none()
