"""Reads the YAML of pipelines, whose platforms add tags of their own. Pure."""

from __future__ import annotations

from typing import Any


def read_yaml(text: str) -> Any:
    """Return the data in `text`, None for what a tag such as `!reference` stands for.

    Raises ValueError when it is no YAML.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Knows no tag of any platform."""

    Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    try:
        return yaml.load(text, Loader)  # noqa: S506  # a SafeLoader
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise ValueError(" ".join(str(problem).split())) from None
