"""Whether what one step returns can ever be what another one takes, by their types alone.

Said is only what holds of every value: a union, a converter or a validator of the author's own, and whatever else is
not understood here may fit. The one exception is text for a number: "5" would be read as 5, and nobody means that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade_flow.authoring.payloads import Payload

Core = Mapping[str, Any]
"""A type as pydantic-core has it."""
Kinds = frozenset[str] | None
"""Kinds of JSON values; None where it can't be told."""

_ARRAYS = dict.fromkeys(("list", "tuple", "set", "frozenset"), frozenset({"array"}))
_OBJECTS = dict.fromkeys(("dict", "typed-dict", "model", "dataclass"), frozenset({"object"}))
_GIVEN: Mapping[str, frozenset[str]] = {
    "str": frozenset({"string"}),
    "int": frozenset({"number"}),
    "float": frozenset({"number"}),
    "bool": frozenset({"boolean"}),
    "none": frozenset({"null"}),
    **_ARRAYS,
    **_OBJECTS,
}
_TAKEN: Mapping[str, frozenset[str]] = {
    "str": frozenset({"string"}),
    "int": frozenset({"number", "boolean"}),
    "float": frozenset({"number", "boolean"}),
    "bool": frozenset({"number", "boolean", "string"}),
    "none": frozenset({"null"}),
    **dict.fromkeys(("date", "datetime", "time", "timedelta", "decimal"), frozenset({"number", "string"})),
    **dict.fromkeys(("uuid", "url", "bytes"), frozenset({"string"})),
    **_ARRAYS,
    **_OBJECTS,
}


def misfit(given: Payload, taken: Payload) -> str | None:
    """Why a value of the one type is never one of the other; None where it may be."""
    return misfit_of(given.adapter.core_schema, taken.adapter.core_schema)


def inner_of(given: Payload) -> Core:
    """The type as pydantic-core has it, without what is said of it, and without None."""
    core: Core = given.adapter.core_schema
    while core["type"] in ("default", "definitions", "nullable"):
        core = core["schema"]
    return core


def items_of(given: Payload) -> Core | None:
    """The type of a list's items, or of a dict's values; None where there never are any."""
    kinds, core = _kinds(given.adapter.core_schema, _GIVEN), inner_of(given)
    if kinds is not None and not kinds & {"array", "object"}:
        return None
    if core["type"] in ("model", "dataclass", "typed-dict") and not _is_own(core):
        return None
    found: Core = core.get("values_schema" if core["type"] == "dict" else "items_schema") or _ANY
    return found if isinstance(found, Mapping) else _ANY


_ANY: Core = {"type": "any"}


def misfit_of(given: Core, taken: Core) -> str | None:
    """The same, of types as pydantic-core has them."""
    gives, takes = _kinds(given, _GIVEN), _kinds(taken, _TAKEN)
    if gives is not None and takes is not None and not gives & takes:
        return f"{_named(gives)} is never {_named(takes)}"
    return _misfit_of_models(_inner(given), _inner(taken))


def _kinds(core: Core, known: Mapping[str, frozenset[str]]) -> Kinds:
    kind = core["type"]
    if "serialization" in core or _is_own(core):
        return None
    if kind == "nullable":
        return _union([frozenset({"null"}), _kinds(core["schema"], known)])
    if kind == "union":
        choices = (choice if isinstance(choice, Mapping) else choice[0] for choice in core["choices"])
        return _union([_kinds(choice, known) for choice in choices])
    if kind in ("default", "definitions"):
        return _kinds(core["schema"], known)
    return known.get(kind)


def _is_own(core: Core) -> bool:
    """Whether the type reads or takes more than others of its kind, such as by a validator that runs before."""
    plain = {"model": "model-fields", "dataclass": "dataclass-args"}.get(core["type"])
    if plain is not None and core["schema"]["type"] != plain:
        return True
    coerces = {**core.get("config", {}), **core}.get("coerce_numbers_to_str")
    return bool(core.get("root_model") or core.get("custom_init") or coerces)


def _union(kinds: list[Kinds]) -> Kinds:
    found: frozenset[str] = frozenset()
    for each in kinds:
        if each is None:
            return None
        found |= each
    return found


def _named(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds))


def _inner(core: Core) -> Core:
    while core["type"] in ("default", "definitions"):
        core = core["schema"]
    return core


def _misfit_of_models(given: Core, taken: Core) -> str | None:
    """Why an object of the one model is never one of the other: by what it lacks, or what a field of it is."""
    gives, takes = _fields(given), _fields(taken)
    if gives is None or takes is None or issubclass(taken["cls"], given["cls"]):
        return None
    written = {field.get("serialization_alias", name): field for name, field in gives.items()}
    for name, field in takes.items():
        if field["schema"]["type"] == "default" or (keys := _keys(name, field)) is None:
            continue
        found = [written[key] for key in keys if key in written]
        if not found:
            return f"{given['cls'].__name__} has no {name!r}, which {taken['cls'].__name__} requires"
        reasons = [misfit_of(each["schema"], field["schema"]) for each in found]
        if all(reasons):
            return f"{name!r}: {reasons[0]}"
    return None


def _fields(core: Core) -> Mapping[str, Any] | None:
    """The fields of a plain model; None of anything else, and of a model that may hold more than them."""
    if core["type"] != "model" or "serialization" in core or _is_own(core):
        return None
    inner: Core = core["schema"]
    extra = inner.get("extra_behavior") or core.get("config", {}).get("extra_fields_behavior")
    if inner["type"] != "model-fields" or "serialization" in inner or extra == "allow":
        return None
    found: Mapping[str, Any] = inner["fields"]
    return found


def _keys(name: str, field: Core) -> set[str] | None:
    """The keys that a field is read from; None where they are paths."""
    alias = field.get("validation_alias", name)
    return {name, alias} if isinstance(alias, str) else None
