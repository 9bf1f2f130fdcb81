"""How long `tm profiles apply` takes for a directory of profiles, against the embedded server.

    python benchmarks/apply.py [PROFILES]

All profiles (200) are created, then none has changed, then a tenth has, then all but ten are gone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

PROFILES = 200
MAX_SECONDS = 30.0

TM = str(Path(sys.executable).with_name("tm.exe" if os.name == "nt" else "tm"))
DOCUMENT = """\
name: load test {number}
endpointUrl: http://localhost:8080/products/{number}
requestHeaders: {{Accept: application/json}}
duration: 1m
points: [[0, 5], [30, {rate}], [60, 5]]
gate: {{p95: {{warn: 10%, fail: 25%}}}}
"""


def main(arguments: Sequence[str]) -> int:
    """Print a line for each step; 1 if one took too long or did something else."""
    count = int(arguments[0]) if arguments else PROFILES
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "profiles").mkdir()
        for number in range(count):
            write(place, number, rate=10)
        _run(place, "profiles", "list", "--json")  # starts the server
        changed = max(count // 10, 1)
        took = [_apply(place, "create all", {"created": count})]
        took.append(_apply(place, "nothing changed", {"unchanged": count}))
        for number in range(changed):
            write(place, number, rate=20)
        expected = {"updated": changed, "unchanged": count - changed}
        took.append(_apply(place, "a tenth changed", expected))
        for number in range(10, count):
            (place / "profiles" / f"{number}.yaml").unlink()
        expected = {"unchanged": min(10, count), "deleted": max(count - 10, 0)}
        took.append(_apply(place, "prune", expected, "--prune", "--yes"))
    return 1 if max(took) > MAX_SECONDS else 0


def write(place: Path, number: int, rate: int) -> None:
    """Write one document."""
    text = DOCUMENT.format(number=number, rate=rate)
    (place / "profiles" / f"{number}.yaml").write_text(text, encoding="utf-8")


def _apply(place: Path, step: str, expected: dict[str, int], *options: str) -> float:
    begin = time.perf_counter()
    answer = _run(place, "profiles", "apply", "profiles", *options, "--json")
    took = time.perf_counter() - begin
    found = Counter(item["action"] for item in answer["data"]["results"])
    assert found == Counter({key: each for key, each in expected.items() if each}), found  # noqa: S101
    total = sum(expected.values())
    print(f"{step:<16} {total:>4} profiles  {took:6.1f} s  {took / total * 1000:5.0f} ms each")
    return took


def _run(place: Path, *argv: str) -> dict[str, dict[str, list[dict[str, str]]]]:
    environ = {**os.environ, "TM_BASE_URL": "local", "TM_DATA_DIR": str(place / ".tm")}
    done = subprocess.run(
        [TM, *argv], cwd=place, env=environ, capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, list[dict[str, str]]]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
