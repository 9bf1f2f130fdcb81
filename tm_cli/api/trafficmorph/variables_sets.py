"""Sets of variables: CSV data that the server fills into requests."""

from __future__ import annotations

from pydantic import StrictInt, StrictStr

from tm_cli.api.client import Instant, Lenient
from tm_cli.api.trafficmorph.fields import CamelCasePayload, TextList


class VariablesSet(CamelCasePayload):
    """A set as the server describes it; the CSV itself is never returned."""

    id: StrictInt
    name: StrictStr
    mode: Lenient[StrictStr] = None
    macro_columns: TextList = ()
    weight_column: Lenient[StrictStr] = None
    row_count: Lenient[StrictInt] = None
    byte_size: Lenient[StrictInt] = None
    created_at: Instant = None
    updated_at: Instant = None
