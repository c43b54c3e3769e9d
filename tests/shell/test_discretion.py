"""What the process says when it fails unexpectedly holds nothing of what was in its hands."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tidegate.shell.login import NoCredentials, credentials
from tidegate.shell.logs import configure_logs


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def ask(token: str) -> None:
    raise ValueError(f"no answer to a question of {len(token)} characters")


@pytest.mark.parametrize("form", ["json", "console"])
def test_given_an_unexpected_error_then_the_log_tells_where_and_no_values(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(form, "debug")
    try:
        ask("hunter2")
    except ValueError:
        structlog.get_logger("one").exception("failed")
        logging.getLogger("other").exception("failed")

    told = capsys.readouterr().err
    assert told.count("no answer to a question of 7 characters") >= 2
    assert "ask" in told and "test_discretion.py" in told
    assert "hunter2" not in told.replace('ask("hunter2")', "")
    if form == "json":
        assert all(json.loads(line)["exception"] for line in told.splitlines())


def test_given_a_kubeconfig_that_is_not_yaml_then_its_place_is_told_and_not_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text("users:\n- user: {token: *hunter2}\n")
    monkeypatch.setenv("KUBECONFIG", str(path))

    with pytest.raises(NoCredentials, match="is not YAML, at line 2, column 17") as told:
        credentials()

    assert "hunter2" not in str(told.value)
