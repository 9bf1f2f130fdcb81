"""Pages as PNG, taken by the Chromium of TM_BROWSER or of the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "msedge")
SCHEMES = {"dark": 0, "light": 1}
"""The numbers by which the browser knows them."""


def find_browser() -> str | None:
    """Return the program; None without any."""
    return os.environ.get("TM_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)


def photograph(
    browser: str, page: Path, file: Path, *, size: tuple[int, int], scheme: str, scale: float = 1
) -> None:
    """Write a window of `size` CSS pixels as people see it; `scale` makes it sharper."""
    width, height = size
    _run(
        browser,
        f"--window-size={width},{height}",
        f"--force-device-scale-factor={scale:g}",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--screenshot={file}",
        page.as_uri(),
    )
    print(f"wrote {file}")


def read(browser: str, page: Path, width: int) -> str:
    """Return a page as its scripts have left it."""
    return _run(browser, f"--window-size={width},900", "--dump-dom", page.as_uri())


def _run(browser: str, *words: str) -> str:
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    always = ["--headless", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000"]
    return subprocess.run(
        [browser, *always, *sandbox, *words],
        check=True,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    ).stdout
