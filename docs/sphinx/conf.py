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
_BESIDE = re.compile(r"\[([^\]]+)\]\(\.\./[A-Z]+\.md\)")


def adapt(_app: Sphinx, name: str, source: list[str]) -> None:
    """Make a page of the folder one of the site; the folder is also read as it is.

    Pages outside the folder are not part of the site, and are named without a link. The list of the
    first page becomes the side bar.
    """
    source[0] = _BESIDE.sub(r"\1", source[0])
    if name == root_doc:
        pages = dict.fromkeys(_PAGE.findall(source[0]))
        source[0] = "\n".join([source[0], "```{toctree}", ":hidden:", "", *pages, "```", ""])


def setup(app: Sphinx) -> None:
    """Adapt each page as it is read."""
    app.connect("source-read", adapt)
