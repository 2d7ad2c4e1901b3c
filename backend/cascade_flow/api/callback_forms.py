"""The page that a callback address shows to a person, and what its form says: made of the event's JSON Schema.

Only plain fields are asked for by name; whatever else a payload may be is typed as JSON. All text from outside is
escaped, and no script, image or style of anybody's is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from cascade_flow.api.documents import rejected

MEDIA_TYPE = "application/x-www-form-urlencoded"
_WHOLE = "data"
_MOST_FIELDS = 50
_PLAIN = ("string", "integer", "number", "boolean")


def question(event: str, schema: Any) -> str:
    """The page that asks."""
    fields = _fields(schema)
    asked = "".join(_field(name, field) for name, field in fields.items()) if fields else _anything()
    form = f'<form method="post">{asked}<p><button type="submit">Send</button></p></form>'
    return page(event, f"<p>Somebody waits for your answer. It counts once, and can't be taken back.</p>{form}")


def page(title: str, content: str) -> str:
    """A page of ours; the content is HTML."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{content}</body></html>'


def said(body: str, schema: Any) -> Any:
    """What a form that was sent says, as the payload. Raises RequestInvalidError."""
    try:
        given = dict(parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise rejected("the form can't be read") from None
    fields = _fields(schema)
    if not fields:
        return _read(given.get(_WHOLE) or "null")
    return {name: _value(given[name], field) for name, field in fields.items() if given.get(name)}


def _fields(schema: Any) -> Mapping[str, Mapping[str, Any]]:
    """The plain fields of an object; none where it has others too, that no form of ours asks for."""
    found = schema.get("properties", {}) if isinstance(schema, dict) else {}
    plain = {name: field for name, field in found.items() if isinstance(field, dict) and field.get("type") in _PLAIN}
    needed = set(schema.get("required", ())) if isinstance(schema, dict) else set()
    return plain if needed <= plain.keys() else {}


def _field(name: str, field: Mapping[str, Any]) -> str:
    label, named = escape(str(field.get("title") or name)), escape(name, quote=True)
    return f"<p><label>{label}<br>{_input(named, field)}</label></p>"


def _input(named: str, field: Mapping[str, Any]) -> str:
    choices = ["true", "false"] if field["type"] == "boolean" else field.get("enum")
    if choices:
        words = {"true": "yes", "false": "no"} if field["type"] == "boolean" else {}
        options = "".join(
            f'<option value="{escape(str(each), quote=True)}">{escape(words.get(str(each), str(each)))}</option>'
            for each in choices
        )
        return f'<select name="{named}"><option value=""></option>{options}</select>'
    kind = "text" if field["type"] == "string" else "number"
    step = ' step="any"' if field["type"] == "number" else ""
    return f'<input name="{named}" type="{kind}"{step}>'


def _anything() -> str:
    return f'<p><label>Your answer, as JSON<br><textarea name="{_WHOLE}" rows="6" cols="60"></textarea></label></p>'


def _value(text: str, field: Mapping[str, Any]) -> Any:
    """What does not read as the field's type stays text, which the schema then refuses by name."""
    if field["type"] == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise rejected("is no JSON", path=_WHOLE) from None
