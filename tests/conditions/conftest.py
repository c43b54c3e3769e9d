from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conditions.judge import Judge


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    judge = Judge()
    yield judge
    judge.close()
