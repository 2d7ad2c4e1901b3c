"""What is written twice is the same: the public names and their types, the table here and in the template."""

from __future__ import annotations

import ast
from importlib import import_module
from typing import Any

import cascade_flow
from architecture.house import ROOT
from cascade_flow.dynamodb import keys, schema
from infra.written import properties


def test_type_checkers_see_the_public_names() -> None:
    stub = ast.parse((ROOT / "backend" / "cascade_flow" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    told = {alias.asname: node.module for node in imports for alias in node.names}
    homes: dict[str, str] = vars(cascade_flow)["_HOME_OF"]
    assert told == {name: f"cascade_flow.{home}" for name, home in homes.items()}


def test_the_public_names_are_there() -> None:
    homes: dict[str, str] = vars(cascade_flow)["_HOME_OF"]
    assert sorted(vars(cascade_flow)["__all__"]) == sorted(homes)
    for name, home in homes.items():
        assert getattr(cascade_flow, name) is getattr(import_module(f"cascade_flow.{home}"), name)


def test_the_template_has_the_table() -> None:
    table = properties("Table")
    here = schema.table_definition("any")
    assert _by_name(table["AttributeDefinitions"], "AttributeName") == _by_name(
        here["AttributeDefinitions"], "AttributeName"
    )
    assert table["KeySchema"] == here["KeySchema"]
    assert table["BillingMode"] == here["BillingMode"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": keys.EXPIRY, "Enabled": True}
    theirs, ours = (_by_name(t["GlobalSecondaryIndexes"], "IndexName") for t in (table, here))
    warmth = table["WarmThroughput"]
    assert theirs == {name: {**index, "WarmThroughput": warmth} for name, index in ours.items()}


def _by_name(entries: list[Any], name: str) -> dict[str, Any]:
    return {entry[name]: entry for entry in entries}
