"""The data of variables sets that a profile has attached, as a run samples it."""

from __future__ import annotations

from collections.abc import Iterable

from tm_cli.server.profiles import ProfileFields
from tm_cli.server.store.variables_sets import VariablesSetStore
from tm_cli.server.web.bodies import Refusal
from tm_cli.values.load.data_sets import LONGEST_CSV, size_of


def check_attached(store: VariablesSetStore, fields: ProfileFields, new: Iterable[int]) -> None:
    """Raise `Refusal` for `new` sets that do not exist, and for more data than a run can have."""
    sizes = store.sizes(fields.variables_set_ids)
    if missing := [set_id for set_id in new if set_id not in sizes]:
        raise _not_found(missing[0])
    _check_size(sum(sizes.values()) + size_of(source.csv for source in fields.data))


def with_attached_data(store: VariablesSetStore, fields: ProfileFields) -> ProfileFields:
    """The profile with the data of its variables sets after its own.

    Where two have a column of the same name, the first one counts. Raises `Refusal` when a set
    was deleted or is damaged.
    """
    if not fields.variables_set_ids:
        return fields
    sources = list(fields.data)
    for set_id in fields.variables_set_ids:
        source = store.source(set_id)
        if source is None:
            raise _not_found(set_id)
        sources.append(source)
    _check_size(size_of(source.csv for source in sources))
    return fields.model_copy(update={"data": tuple(sources)})


def _not_found(set_id: int) -> Refusal:
    return Refusal(f"variablesSetIds: Variables set not found ({set_id})")


def _check_size(size: int) -> None:
    if size > LONGEST_CSV:
        raise Refusal(
            f"variablesSetIds: the sets and the profile's own data have {size:,} bytes; "
            f"a run can have {LONGEST_CSV:,}"
        )
