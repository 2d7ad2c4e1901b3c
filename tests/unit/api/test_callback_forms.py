"""The form of an address that a step gives away: what it asks for, and what it says when it was sent."""

from __future__ import annotations

from typing import Any

from cascade_flow.api.callback_forms import question, said

PLAIN: dict[str, Any] = {"type": "object", "properties": {"ok": {"type": "boolean"}, "why": {"type": "string"}}}
NESTED = {"type": "object", "properties": {**PLAIN["properties"], "who": {"type": "object"}}, "required": ["ok", "who"]}


def test_it_asks_for_each_plain_field_and_says_what_was_given() -> None:
    assert ('name="ok"' in question("e", PLAIN), 'name="data"' in question("e", PLAIN)) == (True, False)
    assert said("ok=true&why=", PLAIN) == {"ok": True}


def test_where_a_field_is_needed_that_no_form_asks_for_it_asks_for_the_whole() -> None:
    assert ('name="ok"' in question("e", NESTED), 'name="data"' in question("e", NESTED)) == (False, True)
    assert said('data={"ok":true,"who":{}}', NESTED) == {"ok": True, "who": {}}
