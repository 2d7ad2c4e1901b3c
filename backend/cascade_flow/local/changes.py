"""What a deployment is about to do to a stack, as CloudFormation foretells it in a change set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import ResourceChangeTypeDef

_KEEPING = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")
"""Resources that hold runs."""


@dataclass(frozen=True)
class Change:
    """One resource's: Add, Modify, Remove, Import; whether it becomes another one (True, False, Conditional, or "")."""

    action: str
    resource: str
    kind: str
    replacement: str

    @classmethod
    def of(cls, change: ResourceChangeTypeDef) -> Change:
        return cls(
            change["Action"],
            change["LogicalResourceId"],
            change.get("ResourceType", ""),
            change.get("Replacement", "") if change["Action"] == "Modify" else "",
        )

    @property
    def parts_from_runs(self) -> bool:
        """Whether the stack would get an empty table or bucket. The old one is retained, but nobody reads it."""
        return self.kind in _KEEPING and (self.action == "Remove" or self.replacement in ("True", "Conditional"))
