"""The template as CloudFormation resolves it for a stack: what its parameters decide is decided, ids stay ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.written import PARAMETERS, TEMPLATE

NOTHING: Mapping[str, str] = {"Ref": "AWS::NoValue"}


class Resolved:
    """A stack with these parameters, the others by default."""

    def __init__(self, **given: str) -> None:
        self.parameters = {name: str(given.get(name, each["Default"])) for name, each in PARAMETERS.items()}
        self.used: set[str] = set()
        """The parameters that have been read for what was asked of it, but by conditions."""

    def holds(self, condition: str) -> bool:
        return self._is_true(TEMPLATE["Conditions"][condition])

    @property
    def conditions(self) -> set[str]:
        """Those that hold."""
        return {name for name in TEMPLATE["Conditions"] if self.holds(name)}

    @property
    def resources(self) -> dict[str, Any]:
        """Those that are made, without what stands for nothing."""
        written: dict[str, Any] = TEMPLATE["Resources"]
        made = {
            name: each for name, each in written.items() if "Condition" not in each or self.holds(each["Condition"])
        }
        return {name: self.value(each) for name, each in made.items()}

    def properties(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def takes(self, rule: str) -> bool:
        """Whether these parameters are let through by a rule."""
        written = TEMPLATE["Rules"][rule]
        asserted = all(self._is_true(each["Assert"]) for each in written["Assertions"])
        return asserted or not self._is_true(written["RuleCondition"])

    def value(self, written: Any) -> Any:
        written = self._decided(written)
        if isinstance(written, list):
            return [self.value(each) for each in written if self._decided(each) != NOTHING]
        if not isinstance(written, dict):
            return written
        if written.keys() == {"Ref"} and written["Ref"] in self.parameters:
            self.used.add(written["Ref"])
            return self.parameters[written["Ref"]]
        return {name: self.value(each) for name, each in written.items() if self._decided(each) != NOTHING}

    def _decided(self, written: Any) -> Any:
        if not isinstance(written, dict) or "Fn::If" not in written:
            return written
        condition, yes, no = written["Fn::If"]
        return self._decided(yes if self.holds(condition) else no)

    def _is_true(self, written: Mapping[str, Any]) -> bool:
        if "Fn::Not" in written:
            [negated] = written["Fn::Not"]
            return not self._is_true(negated)
        parameter, value = written["Fn::Equals"]
        return bool(self.parameters[parameter["Ref"]] == value)
