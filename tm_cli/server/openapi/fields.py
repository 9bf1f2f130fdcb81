"""Kinds of fields of answers, and the base of their models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Int32 = Annotated[int, Field(json_schema_extra={"format": "int32"})]
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Double = Annotated[float, Field(json_schema_extra={"format": "double"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
JsonText = Annotated[str, Field(json_schema_extra={"contentMediaType": "application/json"})]
"""A text that holds a JSON document."""

RunStatus = Literal["IDLE", "RUNNING", "PAUSED", "COMPLETED"]
Outcome = Literal["COMPLETED", "STOPPED", "REPLACED", "INTERRUPTED", "ABORTED"]
Verdict = Literal["PASS", "WARN", "FAIL", "NO_BASELINE"]
Trigger = Literal["api", "manual", "scheduled"]
Sampling = Literal["ROW", "COLUMN", "SEQUENTIAL"]


class Answer(BaseModel):
    """A JSON object of an answer; a field with a default may be missing.

    That others are forbidden is for tests: the document leaves it out, as servers may add some.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
