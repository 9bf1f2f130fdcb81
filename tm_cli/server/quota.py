"""What the account of a server may do: counts, sizes and rates that its owner has set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tm_cli.server.web.bodies import Refusal

if TYPE_CHECKING:
    from tm_cli.server.profiles import ProfileFields

HIGHEST_RATE = 10_000
"""Requests per second of one run: what no setting raises."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Rates are requests per second, and curves above them are cut off; all else is refused.

    0 is no limit for rates, runs at the same time, sizes, requests in a minute and in a month; for
    what is kept (profiles, sets, slots, addresses) it means none. Without `history_days`, the
    history is kept.
    """

    max_rps: int = 0
    profile_rps: int = HIGHEST_RATE
    concurrent_runs: int = 4
    profiles: int = 1000
    schedule_slots: int = 100
    notify_emails: int = 10
    variables_sets: int = 100
    history_days: int | None = None
    request_bytes: int = 0
    headers_bytes: int = 0
    header_count: int = 64
    header_bytes: int = 0
    requests_per_minute: int = 0
    monthly_requests: int = 0

    def highest_rate(self, used: float) -> tuple[float, str]:
        """The rate up to which a run is played where others use so much, and the limit's name.

        Raises `Refusal` if nothing is left: a run without requests tests nothing.
        """
        left = self.max_rps - used
        if not self.max_rps or left >= self.profile_rps:
            return float(self.profile_rps), "maxProfileRps"
        if left < 1:
            raise Refusal(
                f"No rate is left for this run: all active runs together may send {self.max_rps:,} "
                f"requests per second (maxRps), and the others send up to {used:,.0f}"
            )
        return left, "maxRps"

    def check_profiles(self, count: int) -> None:
        """Refuse more profiles than the account may have."""
        if count > self.profiles:
            raise Refusal(f"Profile limit reached ({self.profiles})")

    def check_variables_sets(self, count: int) -> None:
        """Refuse more variables sets than the account may have."""
        if count > self.variables_sets:
            raise Refusal(f"Variables-set quota reached ({self.variables_sets})")

    def check_request(self, fields: ProfileFields) -> None:
        """Refuse a request that is larger than the account permits."""
        headers = fields.headers
        text = _bytes(fields.request_headers or "")
        longest = max((_bytes(name) + _bytes(value) + 4 for name, value in headers), default=0)
        sizes = (
            ("requestHeaders", len(headers), self.header_count, "headers"),
            ("requestHeaders", text, self.headers_bytes, "bytes"),
            ("requestHeaders", longest, self.header_bytes, "bytes in one header"),
            (
                "requestBody and requestHeaders",
                text + _bytes(fields.request_body or ""),
                self.request_bytes,
                "bytes",
            ),
        )
        for name, size, most, unit in sizes:
            if most and size > most:
                raise Refusal(f"{name}: more than {most} {unit}")


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
