"""The README.md that lies in each vault: how to get everything back without Keepwell.

It is for a person who has the vault and nothing else, maybe twenty years from now. Its text is `README.md.jinja` beside
this module; the scripts in it are `recover.sh` and `open_sealed.sh`, which docs/VAULT_FORMAT.md shows as well.
"""

from __future__ import annotations

from importlib.resources import files

import jinja2

from keepwell.vault.documents import VaultDocument


def read_script(name: str) -> str:
    """The text of a script: `recover` or `open_sealed`."""
    return _read(f"{name}.sh")


def render_readme(document: VaultDocument) -> bytes:
    """The README of the vault with this document."""
    environment = jinja2.Environment(  # noqa: S701 - this is Markdown, not HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    text = environment.from_string(_read("README.md.jinja")).render(
        vault=document,
        recover=read_script("recover"),
        open_sealed=read_script("open_sealed"),
    )
    return text.encode()


def _read(name: str) -> str:
    return files("keepwell.vault").joinpath(name).read_text(encoding="utf-8")
