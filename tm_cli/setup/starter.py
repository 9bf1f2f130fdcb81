"""The profile document to start from: what is needed, and the rest as comments."""

from __future__ import annotations

from tm_cli.setup.answers import duration, number, scalar


def starter_text(name: str, url: str, rate: float, seconds: int) -> str:
    """Return a document of a constant rate with the most useful keys as comments."""
    return f"""\
# A load test. `tm profiles check` checks this file, `tm profiles plot` draws its curve, and
#
#   tm runs start FILE --wait
#
# starts it. docs/profiles.md describes all keys.

name: {scalar(name)}

# Where the requests go; ${{BASE_URL}} is filled in from the environment when a run starts.
endpointUrl: {scalar(url)}
httpMethod: GET # POST, PUT, PATCH, DELETE, HEAD or OPTIONS

# requestHeaders:
#   Accept: application/json
#   Authorization: Bearer ${{TOKEN}} # filled in when a run starts, and stored nowhere
# requestPayload: # the body; a mapping or a list is sent as JSON
#   cart: [{{sku: A-100, quantity: 2}}]

# The curve: requests per second at a second of the run.
duration: {duration(seconds)}
points:
  - [0, {number(rate)}]
  - [{seconds}, {number(rate)}]
# interpolationMode: SPLINE # a smooth curve through the points; LINEAR is the default

# The first seconds are sent, but not judged: a multiple of 5 seconds.
# warmup: 10s

# How much worse than its baseline a run may be; without it, the defaults of the server count.
# gate:
#   p95: {{warn: 10%, fail: [25%, 400ms]}}
#   errors: {{fail: 0.5%}}

# What answers must be like; anything else is an error.
# checks: {{status: 200, maxTime: 2s}}

# Values for $$name$$ in the URL, the headers and the body, from the columns of a CSV file.
# data: users.csv

# Several requests of one visitor, in place of httpMethod and requestPayload.
# steps:
#   - request: GET /products
#   - think: 1s..3s
#   - request: POST /cart
"""
