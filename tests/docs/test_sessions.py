"""What a shown session may differ in from what is printed today."""

from __future__ import annotations

import pytest

from tests.docs.sessions import MARK, compare, script

SHOWN = "$ tidegate get shop\nshop-c454dc566-vb2k9  Pod  8s  ready 1/1\n$ echo $?\n0"


def printed(first: str, second: str = "0") -> str:
    return f"{MARK}{first}\n{MARK}{second}\n"


@pytest.mark.parametrize(
    ("first", "same"),
    [
        ("shop-c454dc566-vb2k9  Pod  8s  ready 1/1", True),
        ("shop-c454dc566-6xsx8   Pod  1m21s   ready 1/1", True),
        ("shop-c454dc566-6xsx8  Pod  8s  ready 0/1", False),
        ("shop-c454dc567-6xsx8  Pod  8s  ready 1/1", False),
        ("shop-c454dc566-6xsx8  Pod  8s", False),
        ("shop-c454dc566-6xsx8  Pod  8s  ready 1/1\none line more", False),
    ],
)
def test_names_that_are_made_up_and_ages_are_left_out_and_nothing_else(first: str, same: bool) -> None:
    assert (compare(SHOWN, printed(first)) == "") is same


def test_each_command_has_its_own_output_and_a_failed_one_does_not_end_it() -> None:
    assert "+1" in compare(SHOWN, printed("shop-c454dc566-vb2k9  Pod  8s  ready 1/1", "1")).splitlines()
    assert script(SHOWN).split("\n")[2:-1] == ["mark", "tidegate get shop", "mark", "echo $?", "exit 0"]


def test_what_is_printed_without_a_cluster_is_the_same_to_the_letter() -> None:
    shown = "$ tidegate analysis plan --requests 20\nas often   0-1 %   30s"
    assert compare(shown, f"{MARK}as often   0-1 %   30s\n") == ""
    assert compare(shown, f"{MARK}as often   0-1 %   31s\n")
    assert compare(shown, f"{MARK}as often  0-1 %   30s\n")
