"""A locustfile as profiles and jobs name it: by its SHA-256, never by its text."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tm_cli.runtime.locustfile import check_variable

VISIT_TIMEOUT = 60.0
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Variable = Annotated[str, Field(max_length=200), AfterValidator(check_variable)]


class LocustfileReference(BaseModel):
    """What a profile says: which file, which of its User classes and tags (without any: all), the
    names of the environment variables that it reads, and the seconds that a visitor may take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    file: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+\.[pP][yY]$", max_length=1000)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    classes: Annotated[tuple[_Name, ...], Field(alias="class", max_length=50)] = ()
    tags: Annotated[tuple[_Name, ...], Field(max_length=50)] = ()
    env: Annotated[tuple[_Variable, ...], Field(max_length=50)] = ()
    timeout: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = VISIT_TIMEOUT


class LocustfilePlace(BaseModel):
    """What only the machine that plays the file knows of it.

    `directory` is where the file runs, `variables` are the values of `env`. It may connect to
    private addresses, with `allow_public` to public ones, but neither to `own_ports` of this
    machine nor to `servers`.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    directory: str | None = None
    variables: dict[str, str] = {}
    allow_public: bool = False
    own_ports: frozenset[int] = frozenset()
    servers: frozenset[tuple[str, int]] = frozenset()


class JobLocustfile(LocustfileReference):
    """The locustfile of a job; without a `place` the machine that gets the job has to know it."""

    place: LocustfilePlace | None = None
