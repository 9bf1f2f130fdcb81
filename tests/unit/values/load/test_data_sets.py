"""Data sets are read from CSV as RFC 4180 has it; what cannot be meant is refused with its line."""

import pytest

from tm_cli.values.load.data_sets import InvalidData, Mode, read_data_set


def test_values_stand_as_in_the_file() -> None:
    text = '\ufeffuser, password\r\nann,"a ""b"", c"\r\n\r\n"two\nlines", spaced \r\n'
    data = read_data_set("users", text)
    assert data.mode == "SEQUENTIAL"
    assert data.columns == ("user", "password")
    assert data.rows == (("ann", 'a "b", c'), ("two\nlines", " spaced "))


@pytest.mark.parametrize("text", ["a,b\r1,2\r3,4", "a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4\r\n\r\n"])
def test_every_end_of_a_line_is_one(text: str) -> None:
    assert read_data_set("users", text).rows == (("1", "2"), ("3", "4"))


def test_a_column_of_weights_means_row() -> None:
    data = read_data_set("users", "user,Weight,user_weight\nann,5,x\nbob,1,y\n")
    assert (data.mode, data.columns) == ("ROW", ("user", "user_weight"))
    assert data.weights["user"] == (5.0, 1.0)


def test_weights_of_a_column_come_before_the_shared_ones() -> None:
    text = "user,city,weight,City_Weight\nann,Rome,5,1\nbob,Oslo,1,2\n"
    data = read_data_set("users", text, "COLUMN")
    assert data.columns == ("user", "city")
    assert data.weights == {"user": (5.0, 1.0), "city": (1.0, 2.0)}


def test_sequential_data_may_have_weights_as_values() -> None:
    data = read_data_set("parcels", "weight\nheavy\n", "SEQUENTIAL")
    assert (data.columns, data.rows) == (("weight",), (("heavy",),))


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        ("", None, "it is empty"),
        ("\n\n", None, "it is empty"),
        ("user\n", None, "no row below"),
        ("user,\nann,1\n", None, "line 1: column 2 has no name"),
        ("user,user\nann,1\n", None, "line 1: there are two columns 'user'"),
        (
            "first name,b\nann,1\n",
            None,
            "column 1, 'first name': the name of a macro has no spaces",
        ),
        ("a${B},b\nann,1\n", None, "column 1, 'a${B}'"),
        ("user;password\nann;1\n", None, "columns are separated by commas"),
        ("user,b\nann,1\n\nbob\n", None, "line 4 has 1 value; line 1 names 2 columns"),
        ("user,b\nann,1,2\n", None, "line 2 has 3 values"),
        ('user,b\n"two\nlines",1\nbob\n', None, "line 4 has 1 value"),
        ('user,b\nann,"1\nbob,2\n', None, "line 2: a quotation mark is never closed"),
        ('user,b\nann,"1"2\n', None, "line 2: text follows a closing quotation mark"),
        ("user,b\nann,\0\n", None, "line 2 has a NUL character"),
        ("user\n" + "a" * 110_000, None, "line 2, column user: is longer than 100,000"),
        ("user\n" + "a" * 140_000, None, "line 2: a value is longer than 100,000"),
        ("user\n" + "a\n" * 100_001, None, "more than 100,000 rows"),
        ("user\n" + "a" * 4_000_000, None, "longer than 4,000,000 bytes"),
        (",".join(f"c{n}" for n in range(201)) + "\n", None, "more than 200 columns"),
        ("user\nann\n", "ROW", "mode ROW needs a column `weight`"),
        ("weight\n1\n", "ROW", "weights alone"),
        ("user,weight\nann,1\nbob,0\n", "ROW", "line 3, column weight: '0'; a weight is"),
        ("user,weight\nann,-1\n", "ROW", "a weight is a positive number"),
        ("user,weight\nann,nan\n", "COLUMN", "a weight is a positive number"),
        ("user,weight\nann,1_0\n", "ROW", "a weight is a positive number"),
        ("user,weight\nann,\n", "ROW", "line 2, column weight: empty"),
        ("user,user_weight\nann,x\n", "COLUMN", "line 2, column user_weight: 'x'"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, mode: Mode | None, problem: str) -> None:
    with pytest.raises(InvalidData) as refused:
        read_data_set("users", text, mode)
    assert problem in str(refused.value)
