"""What an installation weighs: built from this tree, put into empty environments, and started.

    python benchmarks/installation.py [EXTRAS ...]

EXTRAS are comma-separated sets such as `local,mcp`; `core` is none. A row tells the packages that
were installed, the size of all of them and of tm alone, and how long `tm --help` takes in units of
an empty Python program. It fails when a variant does not start, and when the sdist builds another
wheel than the tree.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
VARIANTS = ("core", "local", "mcp", "keyring")
REPETITIONS = 7
MEGABYTE = 1e6


@dataclass(frozen=True)
class Installed:
    """One variant; sizes in bytes, `help_ratio` in units of `python -c pass`."""

    name: str
    packages: int
    size: int
    own_size: int
    help_ratio: float


class Environment:
    """An empty environment in `home`."""

    def __init__(self, home: Path) -> None:
        venv.create(home, with_pip=True)
        binaries = home / ("Scripts" if os.name == "nt" else "bin")
        suffix = ".exe" if os.name == "nt" else ""
        self.python = binaries / f"python{suffix}"
        self.tm = binaries / f"tm{suffix}"
        self._home = home

    def pip(self, *arguments: str) -> None:
        """Run pip; raises CalledProcessError."""
        subprocess.run([str(self.python), "-m", "pip", "-q", *arguments], check=True)

    def packages(self) -> dict[str, int]:
        """The installed distributions except pip, and the bytes of the files of each."""
        program = (
            "from importlib.metadata import distributions as d\n"
            "for p in d():\n"
            "    fs = [f.locate() for f in p.files or []]\n"
            "    print(p.name, sum(f.stat().st_size for f in fs if f.is_file()))"
        )
        told = subprocess.run(
            [str(self.python), "-c", program], check=True, capture_output=True, text=True
        ).stdout
        found = {line.split()[0]: int(line.split()[1]) for line in told.splitlines()}
        return {name: size for name, size in found.items() if name != "pip"}


def main(arguments: list[str]) -> int:
    """Build, install, start and measure every variant."""
    with tempfile.TemporaryDirectory() as place:
        wheel, sdist = build(Path(place))
        rebuilt = wheel_of(sdist, Path(place))
        same = contents(wheel) == contents(rebuilt)
        rows = [measure(name, wheel, Path(place)) for name in arguments or VARIANTS]
    print(f"{'':<12}packages   all MB   tm MB   tm --help / python -c pass")
    for row in rows:
        sizes = f"{row.size / MEGABYTE:>9.1f}{row.own_size / MEGABYTE:>8.1f}"
        print(f"{row.name:<12}{row.packages:>8}{sizes}{row.help_ratio:>12.2f}")
    if len(rows) > 1:
        print(f"ratio of sizes, {rows[1].name} / {rows[0].name}: {rows[1].size / rows[0].size:.1f}")
    print(f"the sdist builds {'the same' if same else 'ANOTHER'} wheel")
    return 0 if same else 1


def build(place: Path) -> tuple[Path, Path]:
    """Return wheel and sdist of this tree."""
    builder = Environment(place / "builder")
    builder.pip("install", "hatchling>=1.27")
    output = place / "dist"
    command = [str(builder.python), "-m", "hatchling", "build", "-d", str(output)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return next(output.glob("*.whl")), next(output.glob("*.tar.gz"))


def wheel_of(sdist: Path, place: Path) -> Path:
    """Build a wheel as somebody does who has only the sdist."""
    output = place / "rebuilt"
    command = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "-w", str(output)]
    subprocess.run([*command, str(sdist)], check=True)
    return next(output.glob("*.whl"))


def contents(wheel: Path) -> dict[str, int]:
    """Names and checksums of a wheel's files; those of its metadata tell how it was built."""
    with zipfile.ZipFile(wheel) as archive:
        files = [item for item in archive.infolist() if ".dist-info/" not in item.filename]
        return {item.filename: item.CRC for item in files}


def measure(name: str, wheel: Path, place: Path) -> Installed:
    """Install one variant into an empty environment, start it and weigh it."""
    environment = Environment(place / name.replace(",", "-"))
    extras = "" if name == "core" else f"[{name}]"
    constraints = str(ROOT / "constraints.txt")
    environment.pip("install", "--constraint", constraints, f"{wheel}{extras}")
    packages = environment.packages()
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(REPETITIONS):
        times[True].append(seconds(str(environment.tm), "--help"))
        times[False].append(seconds(str(environment.python), "-c", "pass"))
    ratio = statistics.median(times[True]) / statistics.median(times[False])
    return Installed(name, len(packages), sum(packages.values()), packages["tm-cli"], ratio)


def seconds(*command: str) -> float:
    """Run a program, which has to succeed, and return how long it took."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
