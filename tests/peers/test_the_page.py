"""docs/peers.md says what is so: each defect has a test that is there, or the reason why it needs none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.api.test_compatibility_table import ROOT, TEST_ID, is_defined

PAGE: Final = (ROOT / "docs/peers.md").read_text()
REASONS: Final = ("Does not apply: ", "Not settled: ")


def rows() -> Iterator[tuple[str, str, str]]:
    """The cells of every row: issue, what goes wrong, here."""
    for line in PAGE.splitlines():
        if line.startswith("| ") and not line.startswith("| Issue |"):
            issue, defect, here = (cell.strip() for cell in line.strip("|").split(" | "))
            yield issue, defect, here


def test_given_a_defect_then_it_has_a_test_or_a_reason() -> None:
    told = list(rows())
    assert len(told) > 70
    assert [issue for issue, _, here in told if not (TEST_ID.search(here) or here.startswith(REASONS))] == []


def test_given_a_test_on_the_page_then_it_is_there() -> None:
    assert sorted({test for test in TEST_ID.findall(PAGE) if not is_defined(test)}) == []


def test_given_a_test_of_a_peers_defect_then_the_page_names_it() -> None:
    """A regression test that nobody finds by its defect might be taken for an odd example and deleted."""
    there = {
        f"{path.relative_to(ROOT)}::{name}"
        for path in Path(ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_(?:argo|flagger)_\w+)", path.read_text(), re.MULTILINE)
    }
    assert sorted(there - set(TEST_ID.findall(PAGE))) == []
