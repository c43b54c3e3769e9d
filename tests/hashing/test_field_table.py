from __future__ import annotations

import subprocess
from pathlib import Path

import tidegate.core.hashing.fields
from tests.oracles import built


def test_the_table_is_what_its_generator_writes() -> None:
    written = subprocess.run([built("fields")], capture_output=True, check=True).stdout
    assert Path(tidegate.core.hashing.fields.__file__).read_bytes() == written
