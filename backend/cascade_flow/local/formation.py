"""Speaks to CloudFormation about one stack: its status, its change sets, its events, what failed and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from cascade_flow.clock import now_us, pause_us
from cascade_flow.errors import BackendUnavailableError, ConfigurationError
from cascade_flow.local.changes import Change
from cascade_flow.local.place import Place

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import DescribeChangeSetOutputTypeDef, StackEventTypeDef, StackTypeDef

PATIENCE_US = 900_000_000
"""Longer than the template lets a registration last, twice: its rollback registers again what there was."""
FAILED_FIRST = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
"""Where a stack can't be updated, only deleted: it never was whole."""
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
_NO_STACK_YET = "REVIEW_IN_PROGRESS"
"""A change set was made for it, and never executed."""
_NOTHING = ("didn't contain changes", "No updates are to be performed")
_CANCELLED = "cancelled"
_SHORTEST_US, _LONGEST_US = 200_000, 2_000_000


class Waiting:
    """Looks again ever more seldom, and not for ever."""

    def __init__(self, stack: str) -> None:
        self._stack, self._began_us = stack, now_us()

    def a_moment(self) -> None:
        """BackendUnavailableError where it has taken too long."""
        waited_us = now_us() - self._began_us
        if waited_us > PATIENCE_US:
            raise BackendUnavailableError(
                f"A deployment of {self._stack} is under way for more than {PATIENCE_US // 60_000_000} minutes. "
                "Do the same again once it has ended"
            )
        pause_us(min(max(waited_us // 20, _SHORTEST_US), _LONGEST_US))


class Formation:
    """CloudFormation, and the stack that it is asked about."""

    def __init__(self, place: Place) -> None:
        self.name = place.stack_name
        self.client = place.client("cloudformation")

    def describe(self) -> StackTypeDef | None:
        """None where there is no stack."""
        try:
            found: StackTypeDef = self.client.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise
        return None if found["StackStatus"] in ("DELETE_COMPLETE", _NO_STACK_YET) else found

    def outputs(self) -> dict[str, str]:
        described = self.describe()
        return {each["OutputKey"]: each["OutputValue"] for each in (described.get("Outputs", []) if described else [])}

    def settled(self) -> str | None:
        """The stack's status as soon as nothing is under way. None where there is no stack."""
        waiting = Waiting(self.name)
        while (described := self.describe()) and described["StackStatus"].endswith("_IN_PROGRESS"):
            waiting.a_moment()
        return described["StackStatus"] if described else None

    def propose(self, template_url: str, parameters: Mapping[str, str]) -> str | None:
        """The id of a change set. None where it would change nothing; ConfigurationError where it is refused."""
        request = {
            "StackName": self.name,
            "ChangeSetName": f"cascade-{now_us()}",
            "ChangeSetType": "UPDATE" if self.describe() else "CREATE",
            "TemplateURL": template_url,
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            "Capabilities": _CAPABILITIES,
        }
        try:
            change_set: str = self.client.create_change_set(**request)["Id"]
        except ClientError as error:
            raise ConfigurationError(f"The template was refused: {error.response['Error'].get('Message')}") from error
        with self.withdrawing(change_set):
            if self._is_made(change_set):
                return change_set
        self.withdraw(change_set)
        return None

    @contextmanager
    def withdrawing(self, change_set: str) -> Iterator[None]:
        """Forget a change set where the block is broken off; what that was counts, and not whether this fails too."""
        try:
            yield
        except BaseException:
            with suppress(ClientError, BotoCoreError):
                self.withdraw(change_set)
            raise

    def changes(self, change_set: str) -> list[Change]:
        pages = self.client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set, StackName=self.name)
        found = [change for page in pages for change in page["Changes"]]
        return [Change.of(each["ResourceChange"]) for each in found if "ResourceChange" in each]

    def withdraw(self, change_set: str) -> None:
        """Forget a change set; and the stack, where there is none but for it."""
        self.client.delete_change_set(ChangeSetName=change_set, StackName=self.name)
        if self.describe() is None:
            self.client.delete_stack(StackName=self.name)

    def execute(self, change_set: str) -> Iterator[StackEventTypeDef]:
        """Do it; yields what happens to the stack and its resources, until nothing is under way any more."""
        seen = {event["EventId"] for event in islice(self._events(), 1)}
        self.client.execute_change_set(ChangeSetName=change_set, StackName=self.name)
        waiting, is_over = Waiting(self.name), False
        while not is_over:
            for event in self._unseen(seen):
                seen.add(event["EventId"])
                is_over = is_over or self._ends(event)
                yield event
            waiting.a_moment()

    def failed(self, *, since: str) -> list[str]:
        """The names of the resources that failed since the stack came into this status."""
        return sorted({event["LogicalResourceId"] for event in self._failures(since=(since,))} - {self.name})

    def cause(self) -> str:
        """The first failure since the last deployment began; those after it are its consequences."""
        *_, first = ({}, *self._failures(since=("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")))
        if not first:
            return "CloudFormation doesn't say why."
        return f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason', 'no reason given')}"

    def _is_made(self, change_set: str) -> bool:
        waiting = Waiting(self.name)
        while (described := self._described(change_set))["Status"] not in ("CREATE_COMPLETE", "FAILED"):
            waiting.a_moment()
        if described["Status"] == "CREATE_COMPLETE":
            return True
        reason = described.get("StatusReason", "no reason given")
        if any(words in reason for words in _NOTHING):
            return False
        raise ConfigurationError(f"The template was refused: {reason}")

    def _described(self, change_set: str) -> DescribeChangeSetOutputTypeDef:
        found: DescribeChangeSetOutputTypeDef = self.client.describe_change_set(
            ChangeSetName=change_set, StackName=self.name
        )
        return found

    def _ends(self, event: StackEventTypeDef) -> bool:
        """Whether the stack itself has come to rest. (Its status may lag behind its events.)"""
        is_own = (event["LogicalResourceId"], event["ResourceType"]) == (self.name, "AWS::CloudFormation::Stack")
        return is_own and not event["ResourceStatus"].endswith("_IN_PROGRESS")

    def _unseen(self, seen: set[str]) -> list[StackEventTypeDef]:
        fresh = []
        for event in self._events():
            if event["EventId"] in seen:
                break
            fresh.append(event)
        return fresh[::-1]

    def _events(self) -> Iterator[StackEventTypeDef]:
        """The latest first."""
        for page in self.client.get_paginator("describe_stack_events").paginate(StackName=self.name):
            yield from page["StackEvents"]

    def _failures(self, *, since: tuple[str, ...]) -> Iterator[StackEventTypeDef]:
        """What failed since the stack came into one of these statuses, the latest first."""
        for event in self._events():
            if event["LogicalResourceId"] == self.name and event["ResourceStatus"] in since:
                return
            if event["ResourceStatus"].endswith("_FAILED") and _CANCELLED not in event.get("ResourceStatusReason", ""):
                yield event
