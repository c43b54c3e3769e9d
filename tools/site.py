"""A hook of MkDocs: the READMEs of examples/ are pages of the site too, and links between them and docs/ lead there.

In the repository docs/ and examples/ stand side by side; on the site examples/ is below the pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parent.parent


def on_files(files: Files, config: Any) -> Files:
    """Add the examples, with links turned from the repository's places to the site's."""
    for path in sorted((_ROOT / "examples").rglob("*")):
        if path.suffix in (".md", ".yaml"):
            name = str(path.relative_to(_ROOT))
            text = path.read_text().replace("../../docs/", "../../").replace("](../docs/", "](../")
            files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Pages of docs/ find the examples below them."""
    return markdown if page.file.src_uri.startswith("examples/") else markdown.replace("](../examples/", "](examples/")
