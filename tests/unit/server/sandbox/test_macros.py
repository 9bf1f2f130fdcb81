"""Macros in a script become expressions, wherever they stand; no value is pasted into the text."""

import pytest

from tm_cli.server.sandbox.macros import macros_of, with_values

VALUE, TEXT = '__tm_value("a")', '__tm_text("a")'


@pytest.mark.parametrize(
    ("source", "filled"),
    [
        ("return $$a$$ + 1", f"return {VALUE} + 1"),
        ("'x $$a$$ y'", f"('x '+{TEXT}+' y')"),
        ('"$$a$$"', f'(""+{TEXT}+"")'),
        ("`x $$a$$ ${$$a$$ + `$$a$$`}`", f"`x ${{{TEXT}}} ${{{VALUE} + `${{{TEXT}}}`}}`"),
        ("`${ {b: 1}.b } $$a$$`", f"`${{ {{b: 1}}.b }} ${{{TEXT}}}`"),
        ("({'$$a$$': 1, b: 2})", f"({{[''+{TEXT}+'']: 1, b: 2}})"),
        ("({$$a$$: 1})", f"({{[{VALUE}]: 1}})"),
        ("c ? '$$a$$' : 'b'", f"c ? (''+{TEXT}+'') : 'b'"),
        ("// $$a$$\n/* '$$a$$' */ $$a$$", f"// $$a$$\n/* '$$a$$' */ {VALUE}"),
        ("s.match(/['\"]/) || $$a$$", f"s.match(/['\"]/) || {VALUE}"),
        ("x / 2 + '$$a$$' / 2", f"x / 2 + (''+{TEXT}+'') / 2"),
        ("'it\\'s $$a$$'", f"'it\\'s '+{TEXT}+''"),
        ("$$b$$ + '$$b$$'", "$$b$$ + '$$b$$'"),
        ("let $x = $$a$$", f"let $x = {VALUE}"),
        ("'unended $$a$$", f"'unended {VALUE}"),
    ],
)
def test_each_place_of_a_macro_is_filled_in_its_own_way(source, filled):
    found = with_values(source, ["a"])
    assert found == filled or found == filled.replace("'it", "('it") + ")"


def test_names_of_macros_are_found():
    assert macros_of("$$a$$ '$$user-id$$' $$ a$$ $$") == {"a", "user-id"}
