"""What EndpointSlices say of the pods behind a Service."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidegate.cluster.store import Store
from tidegate.core.plan import Key
from tidegate.engine.kinds import RULES
from tidegate.engine.writing import Writer

SHOP = Key("Service", "web", "shop")


def endpoint(name: str, ready: bool | None = True, kind: str = "Pod") -> dict[str, Any]:
    return {"conditions": {"ready": ready}, "targetRef": {"kind": kind, "name": name}}


class Slices:
    """An API server that has these EndpointSlices of `SHOP`."""

    def __init__(self, *slices: dict[str, Any]) -> None:
        self._slices = slices

    async def get(self, key: Key) -> dict[str, Any]:
        raise AssertionError(key)

    send: Any = get

    async def list(self, kind: str, namespace: str, label_selector: str) -> tuple[list[dict[str, Any]], str]:
        assert (kind, namespace, label_selector) == ("EndpointSlice", "web", "kubernetes.io/service-name=shop")
        return list(self._slices), "7"


@pytest.mark.parametrize(
    ("slices", "names"),
    [
        ((), None),
        (({"endpoints": None},), set()),
        (({"endpoints": [endpoint("a"), endpoint("b", False), endpoint("c", None)]},), {"a", "c"}),
        (({"endpoints": [endpoint("a")]}, {"endpoints": [endpoint("a"), endpoint("b")]}), {"a", "b"}),
        (({"endpoints": [{"addresses": ["10.0.0.1"]}, endpoint("node-1", kind="Node")]},), set()),
        (({"endpoints": [{"targetRef": {"kind": "Pod", "name": "a"}}]},), {"a"}),
    ],
    ids=["no slices", "no endpoints", "ready, not ready, not said", "two families", "not pods", "no conditions"],
)
def test_given_endpoint_slices_then_the_ready_pods_are_read(
    slices: tuple[dict[str, Any], ...], names: set[str] | None
) -> None:
    writer = Writer(Slices(*slices), Store(RULES))

    assert asyncio.run(writer.endpoints(SHOP)) == names
