"""Draw the pictures of the documentation: real runs, shown by the product's own commands.

    python scripts/pictures.py

Takes about two minutes. Writes SVG files without any reference to the network to docs/pictures/,
and the HTML report as PNG, light and dark, with the Chromium of TM_BROWSER or of the PATH.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tm_cli.demo.target import Target

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
WIDTH = 100
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
BRAILLE = re.compile(
    r'<text class="(?P<style>[^"]+)" x="(?P<x>[^"]+)" y="(?P<y>[^"]+)" '
    r'textLength="(?P<length>[^"]+)"[^>]*>(?P<cells>[\u2800-\u28ff]+)</text>'
)
LEGEND = re.compile(r"^.*(achieved|this run) .*$", re.MULTILINE)
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The braille bits of the left and the right column, from the top down."""
PROFILE = """
name: checkout
duration: 40s
httpMethod: GET
endpointUrl: {url}/checkout
points: [[0, 40], [15, 160], [25, 160], [40, 40]]
"""


REPORT = "report.html"
GATE = f"tm runs start checkout.yaml --wait --fail-on FAIL,WARN --report html={REPORT}"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "msedge")
WINDOW = "880,1570"
SCHEMES = {"dark": 0, "light": 1}
"""The numbers by which the browser knows them."""


def main() -> int:
    with tempfile.TemporaryDirectory() as name, Target(delay=0.040) as target:
        directory = Path(name)
        (directory / "checkout.yaml").write_text(PROFILE.format(url=target.url), encoding="utf-8")
        for delay in (0.040, 0.040, 0.052):
            with busier_later(target, delay):
                run(directory, GATE)
        PICTURES.mkdir(parents=True, exist_ok=True)
        for file, command in (
            ("history-show.svg", "tm history show 3"),
            ("history-compare.svg", "tm history compare 2 3"),
        ):
            (PICTURES / file).write_text(picture(command, run(directory, command)), "utf-8")
            print(f"wrote {PICTURES / file}")
        return take_pictures(directory / REPORT)


@contextmanager
def busier_later(target: Target, delay: float) -> Iterator[None]:
    """Let the service be half as slow again for three seconds in the middle of the run."""
    target.delay = delay
    timers = [
        threading.Timer(second, setattr, (target, "delay", delay * factor))
        for second, factor in ((20.0, 1.5), (23.0, 1.0))
    ]
    for timer in timers:
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        time.sleep(0.2)


def run(directory: Path, command: str) -> str:
    """What a command of the product prints at a terminal of our width."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    environ |= {"TM_BASE_URL": "local", "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "LINES": "60"}
    done = subprocess.run(
        [sys.executable, "-m", "tm_cli", *shlex.split(command)[1:]],
        cwd=directory,
        env=environ,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    return done.stdout


def take_pictures(page: Path) -> int:
    """Write the page as people see it; 1 without a browser."""
    browser = os.environ.get("TM_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("no Chromium: the pictures of the report stay as they are", file=sys.stderr)
        return 1
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    for scheme, number in SCHEMES.items():
        file = PICTURES / f"report-{scheme}.png"
        subprocess.run(
            [
                browser, "--headless", "--disable-gpu", "--hide-scrollbars", *sandbox,
                f"--window-size={WINDOW}", f"--blink-settings=preferredColorScheme={number}",
                "--virtual-time-budget=3000", f"--screenshot={file}", page.as_uri(),
            ],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        print(f"wrote {file}")
    return 0


def picture(command: str, output: str) -> str:
    """The command and its output as an SVG in the look of a terminal."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH + 2, force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(LEGEND.sub(_in_words, output)))
    drawn = FONTS.sub("", console.export_svg(title="tm", theme=MONOKAI))
    return BRAILLE.sub(_dots, drawn.replace("Fira Code, monospace", "monospace"))


def _in_words(title: re.Match[str]) -> str:
    """The samples in the title of a chart, in characters that every font has."""
    return title[0].replace("⠒⠒", "──").replace("⠔⠔", "··")


def _dots(text: re.Match[str]) -> str:
    """Draw the dots of a chart, because few fonts have them."""
    left, bottom = float(text["x"]), float(text["y"]) + 3
    width, height = float(text["length"]) / len(text["cells"]), 6.1
    return "".join(
        f'<circle class="{text["style"]}" r="1.5" '
        f'cx="{left + (cell + 0.25 + 0.5 * column) * width:.1f}" '
        f'cy="{bottom - (3 - row) * height:.1f}"/>'
        for cell, character in enumerate(text["cells"])
        for column, bits in enumerate(DOTS)
        for row, bit in enumerate(bits)
        if ord(character) - 0x2800 & bit
    )


if __name__ == "__main__":
    sys.exit(main())
