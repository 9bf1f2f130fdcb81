"""The pages of `docs` as a site: `make docs` builds it into `build/site`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tm_cli import __version__  # noqa: E402  # found by the line above

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "tm"
version = release = __version__
extensions = ["myst_parser"]
root_doc = "README"
exclude_patterns = ["sphinx"]
myst_heading_anchors = 4
nitpicky = True
html_theme = "furo"
html_title = f"tm {__version__}"
html_extra_path = [str(HERE / "extra")]
html_show_sphinx = html_show_copyright = False
pygments_style, pygments_dark_style = "friendly", "github-dark"

_PAGE = re.compile(r"\]\(([a-z-]+)\.md\)")


def add_contents(_app: Sphinx, name: str, source: list[str]) -> None:
    """Put the pages that the first page lists into the side bar, in its order.

    The list stays a plain table, because the folder is also read as it is.
    """
    if name == root_doc:
        pages = dict.fromkeys(_PAGE.findall(source[0]))
        text = source[0].replace("(../README.md)", "(quickstart.md)")
        source[0] = "\n".join([text, "```{toctree}", ":hidden:", "", *pages, "```", ""])


def setup(app: Sphinx) -> None:
    """Read the first page with the side bar's contents."""
    app.connect("source-read", add_contents)
