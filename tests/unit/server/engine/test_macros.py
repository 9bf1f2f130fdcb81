"""Macros of a request, and the values that each arrival takes from the data sets."""

from collections import Counter

import pytest

from tm_cli.server.engine.templates import BadValue, Template, in_header, in_url
from tm_cli.server.engine.variables import VisitorVariables
from tm_cli.values.load.data_sets import DataSet, Mode, read_data_set


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("no macro", "no macro"),
        ("$$user$$", "ann"),
        ("a $$user$$$$id$$ b", "a ann7 b"),
        ("$$user$$id$$", "annid$$"),
        ("$$USER$$ costs $5 or $$5", "$$USER$$ costs $5 or $$5"),
        ("$$two words$$ $${user}$$", "$$two words$$ $${user}$$"),
    ],
)
def test_known_macros_are_replaced_and_all_else_stays(text: str, rendered: str) -> None:
    assert Template.compile(text).render({"user": "ann", "id": "7"}) == rendered


def test_a_value_is_not_read_as_a_macro() -> None:
    assert Template.compile("$$a$$").render({"a": "$$b$$", "b": "no"}) == "$$b$$"


def test_names_are_those_of_the_macros() -> None:
    assert Template.compile("/$$a$$/$$b$$?$$a$$").names == {"a", "b"}
    assert Template.compile("/$a$").names == frozenset()


def test_values_are_encoded_for_the_place_where_they_stand() -> None:
    template = Template.compile("/find?q=$$q$$")
    assert template.render({"q": "a/b &ü\r\n"}, in_url) == "/find?q=a%2Fb%20%26%C3%BC%0D%0A"
    assert template.render({"q": "Zürich"}, in_header) == "/find?q=Zürich"


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\n", "a\0", "\x7f", "日本"])
def test_no_value_breaks_out_of_a_header(value: str) -> None:
    with pytest.raises(BadValue):
        Template.compile("Bearer $$token$$").render({"token": value}, in_header)


LETTERS = "letter,number,weight\na,1,5\nb,2,1\n"


def letters(mode: Mode) -> DataSet:
    return read_data_set("letters", LETTERS, mode)


def test_sequential_data_begins_again_after_the_last_row() -> None:
    variables = VisitorVariables([read_data_set("users", "user,id\nann,1\nbob,2\ncid,3\n")])
    assert variables.names == {"user", "id"}
    assert [variables.of(number)["user"] for number in range(7)] == [
        *["ann", "bob", "cid"] * 2,
        "ann",
    ]


def test_workers_that_share_a_curve_take_each_row_once() -> None:
    data = [read_data_set("users", "id\n" + "".join(f"{n}\n" for n in range(40)))]
    workers = [VisitorVariables(data, seed=7) for _ in range(3)]
    taken = [workers[number % 3].of(number)["id"] for number in range(40)]
    assert taken == [str(n) for n in range(40)]


@pytest.mark.parametrize("mode", ["ROW", "COLUMN", "SEQUENTIAL"])
def test_both_requests_of_a_pair_get_the_same_values(mode: Mode) -> None:
    variables = VisitorVariables([letters(mode)], seed=3, sides=2)
    drawn = [variables.of(number) for number in range(100)]
    assert drawn[::2] == drawn[1::2]
    assert len({each["letter"] for each in drawn}) == 2


def test_rows_are_drawn_by_weight_and_whole() -> None:
    variables = VisitorVariables([letters("ROW")], seed=1)
    counts = Counter(tuple(variables.of(number).values()) for number in range(60_000))
    assert set(counts) == {("a", "1"), ("b", "2")}
    assert counts["a", "1"] == pytest.approx(50_000, abs=400)  # four standard deviations


def test_columns_are_drawn_independently() -> None:
    variables = VisitorVariables([letters("COLUMN")], seed=1)
    counts = Counter(tuple(variables.of(number).values()) for number in range(36_000))
    expected = {("a", "1"): 25_000, ("a", "2"): 5000, ("b", "1"): 5000, ("b", "2"): 1000}
    assert counts == {pair: pytest.approx(count, abs=400) for pair, count in expected.items()}


def test_shared_values_are_those_of_all_until_they_are_renewed() -> None:
    variables = VisitorVariables([letters("SEQUENTIAL")], shared={"=TOKEN": "old"})
    assert "=TOKEN" in variables.names
    template = Template.compile("$$letter$$ $$=TOKEN$$")
    assert template.render(variables.of(0)) == "a old"
    variables.renew({"=TOKEN": "new", "=OTHER": "x"})
    assert template.render(variables.of(1)) == "b new"
    assert "=OTHER" not in variables.of(1)


def test_runs_draw_different_rows() -> None:
    first, second = (VisitorVariables([letters("ROW")], seed=seed) for seed in (1, 2))
    assert [first.of(n) for n in range(50)] != [second.of(n) for n in range(50)]


def test_data_sets_are_drawn_independently_of_each_other() -> None:
    both = [letters("ROW"), read_data_set("more", "other,weight\nx,5\ny,1\n")]
    variables = VisitorVariables(both, seed=1)
    counts = Counter(
        (values["letter"], values["other"]) for values in map(variables.of, range(36_000))
    )
    assert counts["b", "y"] == pytest.approx(1000, abs=130)
