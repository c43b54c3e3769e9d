from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hashing.oracle import Oracle


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    asked = Oracle()
    yield asked
    asked.close()
