"""Draw the pictures of the documentation: real runs, shown by the product's own commands.

    python scripts/pictures.py [demo] [runs]

Takes about four minutes. Writes to docs/pictures/ SVG files without any reference to the network:
a recording of the demo, a run, a comparison. Then PNG files, for which it needs Chromium and npm:
the HTML report, light and dark, and what a failed gate writes on GitHub. Linux and macOS.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from pictures_animation import animation
from pictures_browser import SCHEMES, find_browser, photograph
from pictures_github import VARIABLES, find_mermaid, forge, take_picture
from pictures_recording import Piece, frames, record, shortened
from tm_cli.demo.demo import DemoService

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
GATE = (
    "tm runs start checkout.yaml --wait --fail-on FAIL,WARN "
    f"--report html={REPORT} --report json=gate.json"
)
COMMENT = "tm report comment gate.json --name checkout"
AT_A_TERMINAL = {
    "TM_BASE_URL": "local",
    "FORCE_COLOR": "1",
    "COLUMNS": str(WIDTH),
    "LINES": "60",
}
WINDOW = (880, 1570)
ATTEMPTS = 5
DISTURBED = "the load generator is saturated"
"""What a run says on a machine that is too busy to be recorded."""


def main() -> int:
    wanted = set(sys.argv[1:]) or {"demo", "runs"}
    PICTURES.mkdir(parents=True, exist_ok=True)
    if "demo" in wanted:
        record_demo()
    return take_pictures() if "runs" in wanted else 0


def record_demo() -> None:
    """Write the demo as it went; one that failed, or had too little of the machine, is repeated."""
    for _ in range(ATTEMPTS):
        code, pieces = record(["demo"], environment())
        if code == 0 and not any(DISTURBED in piece.text for piece in pieces):
            typed = Piece(0.0, "\x1b[1m$ tm demo\x1b[0m\r\n")
            shown = animation(frames([typed, *shortened(pieces)]), "tm demo in a terminal")
            write("demo.svg", shown)
            return
        print("the machine is too busy: once more", file=sys.stderr)
    raise RuntimeError(f"none of {ATTEMPTS} recordings was undisturbed")


def take_pictures() -> int:
    """Write what three runs look like everywhere; 1 when something is missing for that."""
    with tempfile.TemporaryDirectory() as name, DemoService(delay=0.040) as target:
        directory = Path(name)
        (directory / "checkout.yaml").write_text(PROFILE.format(url=target.url), encoding="utf-8")
        summary = directory / "summary.md"
        on_github = {**VARIABLES, "GITHUB_STEP_SUMMARY": str(summary)}
        for delay, variables in ((0.040, None), (0.040, None), (0.052, on_github)):
            with busier_later(target, delay):
                run(directory, GATE, variables)
        for file, command in (
            ("history-show.svg", "tm history show 3"),
            ("history-compare.svg", "tm history compare 2 3"),
        ):
            write(file, picture(command, run(directory, command)))
        with forge() as (address, comments):
            run(directory, COMMENT, {**VARIABLES, "GITHUB_API_URL": address})
        texts = {
            "pull-request-comment": comments[0],
            "step-summary": summary.read_text(encoding="utf-8"),
        }
        return photograph_all(directory, texts)


def photograph_all(directory: Path, texts: Mapping[str, str]) -> int:
    """Take pictures of the HTML report and of Markdown by name; 1 without the programs for it."""
    if (browser := find_browser()) is None:
        print("no Chromium: the PNG pictures stay as they are", file=sys.stderr)
        return 1
    for scheme in SCHEMES:
        file = PICTURES / f"report-{scheme}.png"
        photograph(browser, directory / REPORT, file, size=WINDOW, scheme=scheme)
    if (mermaid := find_mermaid(directory)) is None:
        print("no npm: the pictures of GitHub stay as they are", file=sys.stderr)
        return 1
    for name, text in texts.items():
        take_picture(browser, name, text, mermaid, PICTURES)
    return 0


def write(name: str, drawn: str) -> None:
    """Write one SVG file."""
    (PICTURES / name).write_text(drawn, encoding="utf-8")
    print(f"wrote {PICTURES / name}")


@contextmanager
def busier_later(target: DemoService, delay: float) -> Iterator[None]:
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


def run(directory: Path, command: str, variables: dict[str, str] | None = None) -> str:
    """What a command of the product prints at a terminal of our width."""
    done = subprocess.run(
        [sys.executable, "-m", "tm_cli", *shlex.split(command)[1:]],
        cwd=directory,
        env=environment() | AT_A_TERMINAL | (variables or {}),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    return done.stdout


def environment() -> dict[str, str]:
    """Our environment without what would tell the product that it is elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TM_", "GH_", "GITHUB_", "GITLAB_", "CI"))
    }


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
