"""The address that `--against` names, and whether it is another one than the profile's."""

from __future__ import annotations

from tm_cli.base_url import check_http_url, is_same_target
from tm_cli.errors import UsageError
from tm_cli.text import clean


def check_url(text: str) -> str:
    """Return the address of a target; raises UsageError for what can be none."""
    url = text.strip()
    try:
        check_http_url(url, credentials="put them into the profile's headers")
    except ValueError as problem:
        raise UsageError(
            f"--against is not usable: {clean(problem)}",
            hint="write for instance http://localhost:8081/",
        ) from None
    return url


def require_another(against: str | None, target: str | None) -> None:
    """Raise UsageError when the `target` of the profile is what `--against` names."""
    if against is not None and target and is_same_target(against, target):
        raise UsageError(
            "both targets are the same: nothing would be compared",
            hint="--against names the other version; to compare a target with itself, "
            "give one of the two another query",
        )
