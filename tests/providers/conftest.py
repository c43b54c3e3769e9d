"""A stand-in for whatever server a provider asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.providers.stand_in import StandIn, standing_in


@pytest.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    async with standing_in() as running:
        yield running
