"""A hook of MkDocs: what stands outside of docs/ is on the site too, and links between the two lead there.

In the repository docs/ and examples/ stand side by side below README.md; on the site README.md is the first page, and
examples/ is below the pages of docs/.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parent.parent
_BESIDE = {"README.md": "index.md"} | {
    name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "kind-config.yaml")
}


def on_files(files: Files, config: Any) -> Files:
    """Add what is outside of docs/, with links turned from the repository's places to the site's."""
    for name, there in _BESIDE.items():
        files.append(File.generated(config, there, content=(_ROOT / name).read_text().replace("](docs/", "](")))
    for path in sorted((_ROOT / "examples").rglob("*")):
        if path.suffix in (".md", ".yaml"):
            name = str(path.relative_to(_ROOT))
            text = path.read_text().replace("../../docs/", "../../").replace("](../docs/", "](../")
            files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Pages of docs/ find the examples below them."""
    return markdown if page.file.src_uri.startswith("examples/") else markdown.replace("](../examples/", "](examples/")
