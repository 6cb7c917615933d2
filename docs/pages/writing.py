"""What made pages share: files that change only with their content, and an index of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_pages(
    folder: Path, title: str, text: str, pages: Mapping[str, str], *, linked: bool = False
) -> None:
    """Write a folder of pages and an index of them; what is no page any more is deleted.

    Args:
        folder: of the pages.
        title: of the index.
        text: below its title.
        pages: file name without ending, to content, in the order that they are listed in.
        linked: the text links to each page itself, so that the list stays in the navigation alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    listed = "\n".join(pages)
    shown = ":hidden:" if linked else ":maxdepth: 1"
    index = f"# {title}\n\n{text}\n\n```{{toctree}}\n{shown}\n\n{listed}\n```\n"
    wanted = {f"{name}.md": content for name, content in {"index": index, **pages}.items()}
    for old in folder.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, content in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
