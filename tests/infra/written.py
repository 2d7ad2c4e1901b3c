"""The template read as data: short forms become long ones, and nothing is resolved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read_template(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    return found


TEMPLATE = read_template(ROOT / "template.yaml")
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    """The resources of this type, by logical id."""
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[name]["Properties"]
    return found


def function(name: str) -> dict[str, Any]:
    """A function's properties, with those of Globals under them; layers add up."""
    own = properties(name)
    shared = TEMPLATE["Globals"]["Function"]
    return {**shared, **own, "Layers": [*shared.get("Layers", []), *own.get("Layers", [])]}


def statements(role: str) -> Iterator[dict[str, Any]]:
    """Every statement of a role's own policies, those that stand beside it too."""
    beside = [each["Properties"] for each in of_type("AWS::IAM::Policy").values()]
    for policy in [*properties(role).get("Policies", []), *(each for each in beside if {"Ref": role} in each["Roles"])]:
        yield from policy["PolicyDocument"]["Statement"]


def chosen(value: Any) -> list[Any]:
    """What a value may be: both sides of a condition, without what stands for nothing."""
    if isinstance(value, dict) and "Fn::If" in value:
        return [side for side in value["Fn::If"][1:] if side != {"Ref": "AWS::NoValue"}]
    return [value]


FUNCTION_FOLDERS = sorted(properties(name)["CodeUri"] for name in of_type("AWS::Serverless::Function"))
