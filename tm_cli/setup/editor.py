"""JSON Schemas next to the files that editors check with them."""

from __future__ import annotations

SCHEMAS = {"profile": ".tm-profile.schema.json", "settings": ".tm-settings.schema.json"}
"""The file of each schema, in the directory of what it describes: hidden, as no profile is."""


def modeline(kind: str) -> str:
    """Return the first line of a file, by which editors find its schema."""
    if kind == "settings":
        return f"#:schema ./{SCHEMAS[kind]}\n"
    return f"# yaml-language-server: $schema={SCHEMAS[kind]}\n"
