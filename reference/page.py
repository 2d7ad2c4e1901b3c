"""docs/api.html: the document for people, as one file that asks no network for anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from reference.conformance import METHODS

Json = Mapping[str, Any]
_LIMITS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "from {} characters",
    "maxLength": "up to {} characters",
    "minItems": "from {} items",
    "maxItems": "up to {} items",
    "pattern": "matches <code>{}</code>",
    "default": "else <code>{}</code>",
}


def page(document: Json) -> str:
    """The whole page."""
    operations = [
        (method, path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
        if method in METHODS
    ]
    parts = [
        f"<h1>{escape(document['info']['title'])} <small>{escape(document['info']['version'])}</small></h1>",
        _prose(document["info"]["description"]),
        *(_group(tag, [each for each in operations if tag["name"] in each[2]["tags"]]) for tag in document["tags"]),
        '<section><h2 id="refusals">Refusals</h2>',
        *(_refusal(name, told, document) for name, told in document["components"]["responses"].items()),
        '</section><section><h2 id="schemas">Schemas</h2>',
        *(_component(name, schema) for name, schema in document["components"]["schemas"].items()),
        "</section>",
    ]
    return _FRAME.format(
        title=escape(document["info"]["title"]),
        style=_STYLE,
        script=_SCRIPT,
        nav=_nav(document, operations),
        main="\n".join(parts),
    )


def _nav(document: Json, operations: Iterable[tuple[str, str, Json]]) -> str:
    known = list(operations)
    links = {tag["name"]: [_link(each) for each in known if tag["name"] in each[2]["tags"]] for tag in document["tags"]}
    groups = [f"<h3>{escape(name)}</h3><ul>{''.join(each)}</ul>" for name, each in links.items()]
    return "".join([*groups, '<h3><a href="#refusals">Refusals</a></h3><h3><a href="#schemas">Schemas</a></h3>'])


def _link(operation: tuple[str, str, Json]) -> str:
    method, path, told = operation
    return f'<li><a href="#{told["operationId"]}"><b class="{method}">{method}</b> {escape(path)}</a></li>'


def _group(tag: Json, operations: Iterable[tuple[str, str, Json]]) -> str:
    shown = "\n".join(_operation(*each) for each in operations)
    return f"<section><h2>{escape(tag['name'])}</h2>{_prose(tag['description'])}\n{shown}</section>"


def _operation(method: str, path: str, told: Json) -> str:
    name = told["operationId"]
    body = told.get("requestBody")
    return "\n".join(
        [
            f'<article id="{name}"><h3><b class="{method}">{method}</b> <code>{escape(path)}</code>',
            f'<a class="name" href="#{name}">{name}</a></h3>',
            _prose(told["description"]),
            _parameters(told.get("parameters", [])),
            f"<h4>Body</h4>{_contents(body)}" if body else "",
            "<h4>Answers</h4>",
            *(_answer(status, response) for status, response in told["responses"].items() if "$ref" not in response),
            _refusals(told["responses"]),
            "</article>",
        ]
    )


def _parameters(parameters: Iterable[Json]) -> str:
    rows = [
        _row(f"{told['name']}", told["required"], f"{_type(told['schema'])}, {told['in']}", told["schema"], _said(told))
        for told in parameters
    ]
    return _table(rows) and f"<h4>Parameters</h4>{_table(rows)}"


def _answer(status: str, response: Json) -> str:
    return f"<p><b>{status}</b> {_inline(response['description'])}</p>{_contents(response)}"


def _refusals(responses: Json) -> str:
    named = {status: told["$ref"].rpartition("/")[2] for status, told in responses.items() if "$ref" in told}
    links = [f'<a href="#refusal-{escape(name)}">{status}</a>' for status, name in named.items()]
    return f"<p>Refusals: {' '.join(links)}</p>"


def _refusal(name: str, told: Json, document: Json) -> str:
    examples = document["components"]["examples"]
    shown = [
        _example(examples[code]["value"], code)
        for content in told["content"].values()
        for code in content.get("examples", {})
    ]
    status = re.sub(r"\D", "", name.partition("-or-")[0])
    heading = f'<h3>{status} <span class="name">{escape(name)}</span></h3>'
    return f'<article id="refusal-{escape(name)}">{heading}{_prose(told["description"])}{"".join(shown)}</article>'


def _contents(told: Json) -> str:
    shown = []
    for content in told.get("content", {}).values():
        shown.append(f"<p>{_type(content['schema'])}</p>")
        shown.append(_example(content["example"], "Example"))
    return "".join(shown)


def _example(value: Any, title: str) -> str:
    text = escape(json.dumps(value, indent=2, ensure_ascii=False), quote=False)
    return f"<details><summary>{escape(title)}</summary><pre>{text}</pre></details>"


def _component(name: str, schema: Json) -> str:
    return (
        f'<article id="schema-{escape(name)}"><h3>{escape(name)}</h3>{_prose(schema.get("description", ""))}'
        f"{_fields(schema) if 'properties' in schema else f'<p>{_type(schema)}</p>'}</article>"
    )


def _fields(schema: Json) -> str:
    required = schema.get("required", [])
    return _table(
        _row(name, name in required, _type(field), field, _said(field)) for name, field in schema["properties"].items()
    )


def _table(rows: Iterable[str]) -> str:
    shown = "".join(rows)
    return shown and f"<table>{shown}</table>"


def _row(name: str, is_required: bool, kind: str, schema: Json, said: str) -> str:
    mark = "" if is_required else " <small>optional</small>"
    limits = ", ".join(_limits(schema))
    return f"<tr><th><code>{escape(name)}</code>{mark}</th><td>{kind}</td><td>{said} <small>{limits}</small></td></tr>"


def _limits(schema: Json) -> Iterator[str]:
    for told in (schema, *(each for each in schema.get("anyOf", []) if "$ref" not in each)):
        for key, words in _LIMITS.items():
            if told.get(key) is not None:
                yield words.format(escape(str(told[key]) if key != "default" else json.dumps(told[key])))


def _said(told: Json) -> str:
    return _inline(told.get("description", ""))


def _type(schema: Json) -> str:
    """A schema in a few words, with links to those that have names."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "const" in schema or "enum" in schema:
        return " | ".join(f"<code>{escape(str(each))}</code>" for each in schema.get("enum") or [schema["const"]])
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(_type(each) for each in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return escape(str(schema.get("type", "any JSON value")))


def _prose(text: str) -> str:
    paragraphs = text.split("\n\n") if text else []
    return "".join(_list(each) if each.startswith("- ") else f"<p>{_inline(each)}</p>" for each in paragraphs)


def _list(paragraph: str) -> str:
    items = re.split(r"^- ", paragraph, flags=re.MULTILINE)[1:]
    return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"


def _inline(text: str) -> str:
    """Code and links, as Markdown has them."""
    coded = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"\[([^]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', coded)


_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--link:#2a63c9}
@media(prefers-color-scheme:dark){:root{--link:#8ab4ff}}
*{box-sizing:border-box}body{margin:0;font:15px/1.5 system-ui,sans-serif;display:grid;grid-template-columns:22em 1fr}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1em;border-right:1px solid var(--line);font-size:13px}
nav ul{list-style:none;margin:0;padding:0}nav li{display:flex;gap:.4em;align-items:baseline}
nav h3{margin:1em 0 .2em}nav input{width:100%;padding:.4em;font:inherit}
main{padding:1em 2em 20vh;max-width:68em;min-width:0}article{border-top:1px solid var(--line);padding:.6em 0}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}h4{margin:1em 0 .3em}
code,pre{font:13px/1.45 ui-monospace,monospace}code{background:var(--soft);padding:.1em .3em;border-radius:3px}
pre{background:var(--soft);padding:.8em;overflow:auto;border-radius:5px}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25em .6em .25em 0;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}th{font-weight:normal;width:16em}td:nth-child(2){width:16em}
small,.name{opacity:.7;font-size:12px;font-weight:normal}:target{background:var(--soft)}
b.get,b.post,b.put,b.delete{font:bold 11px ui-monospace,monospace;text-transform:uppercase;color:#fff;background:#557;
padding:.15em .4em;border-radius:3px}b.get{background:#27653f}b.post{background:#2a559c}b.put{background:#8a5a12}
b.delete{background:#96312b}@media(max-width:60em){body{display:block}nav{position:static;height:auto}}
@media print{nav{display:none}body{display:block}}
"""
_SCRIPT = """
const find = document.querySelector('input'), links = [...document.querySelectorAll('nav li')];
find.addEventListener('input', () => {
  for (const link of links) link.hidden = !link.textContent.toLowerCase().includes(find.value.toLowerCase());
});
"""
_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}: the HTTP API</title>
<style>{style}</style>
</head>
<body>
<nav><input type="search" placeholder="Find an operation" aria-label="Find an operation">{nav}</nav>
<main>
{main}
</main>
<script>{script}</script>
</body>
</html>
"""
