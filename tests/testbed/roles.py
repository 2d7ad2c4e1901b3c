"""The template's roles, enforced in this process: each request is one of a function's, and needs what that may do.

What is recorded is what a function really asked for. Resources are named by the template's own names, so that no
account, region or generated name is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from testbed.wire import Answer, Request, Send


class Grant(NamedTuple):
    """An action on a resource: `dynamodb:Query` on `Table/index/due`."""

    action: str
    resource: str


PARTS = {("dynamodb:DeleteItem", "LIM#"): "Table of limits", ("dynamodb:PutItem", "PAST"): "Table of the past"}
"""What is granted for those items of the table alone whose partitions begin so."""
_IN_A_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def needs(request: Request, queues: Mapping[str, str] | None = None) -> set[Grant]:
    """What IAM asks of a request, as the service authorization reference has it. Queues: their names, by address."""
    if request.service == "s3":
        assert str(request.body["Key"]).startswith("payloads/")
        return {Grant(f"s3:{request.operation}", "Bucket/payloads/*")}
    if request.service == "sqs":
        queue = (queues or {}).get(str(request.body["QueueUrl"]), "Queue")
        return {Grant(f"sqs:{request.operation.removesuffix('Batch')}", queue)}
    if request.operation == "TransactWriteItems":
        kinds = {kind for item in request.body["TransactItems"] for kind in item}
        return {Grant(f"dynamodb:{_IN_A_TRANSACTION[kind]}", "Table") for kind in kinds}
    if (part := _part_of(request)) is not None:
        return {Grant(f"dynamodb:{request.operation}", part)}
    index = request.body.get("IndexName")
    return {Grant(f"dynamodb:{request.operation}", f"Table/index/{index}" if index else "Table")}


def granted(statements: Iterator[Mapping[str, Any]]) -> set[Grant]:
    """What a role's statements allow."""
    return {
        Grant(action, _limited(action, statement) or _named(resource))
        for statement in statements
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def _part_of(request: Request) -> str | None:
    key = request.body.get("Key") or request.body.get("Item") or {"pk": {"S": ""}}
    action, pk = f"dynamodb:{request.operation}", str(key["pk"]["S"])
    return next((part for (verb, begins), part in PARTS.items() if verb == action and pk.startswith(begins)), None)


def _limited(action: str, statement: Mapping[str, Any]) -> str | None:
    told = str(statement.get("Condition", {}))
    return next((part for (verb, begins), part in PARTS.items() if verb == action and begins in told), None)


def _named(resource: Mapping[str, Any]) -> str:
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    return str(resource["Fn::Sub"]).replace("${", "").replace(".Arn}", "")


@dataclass
class Guard:
    """Lets a function's requests pass that its role allows; a gate for every client that functions use."""

    allowed: Mapping[str, set[Grant]]
    queues: Mapping[str, str] = field(default_factory=dict)
    function: str = ""
    route: str = ""
    used: dict[str, dict[Grant, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    denied: dict[Grant, set[str]] = field(default_factory=lambda: defaultdict(set))

    @contextmanager
    def acting(self, function: str, route: str) -> Iterator[None]:
        """Whatever is asked in the block is asked by this function."""
        self.function, self.route = function, route
        try:
            yield
        finally:
            self.function = self.route = ""

    def __call__(self, request: Request, send: Send) -> Answer:
        if not self.function:
            return send(request)
        if {grant for grant in needs(request, self.queues) if not self._may(grant)}:
            return self._refusal(request)
        answered = send(request)
        is_missing = request.service == "s3" and answered.status_code == 404
        if is_missing and not self._may(Grant("s3:ListBucket", "Bucket")):
            return self._refusal(request)
        return answered

    def signs(self) -> None:
        """An address of an object is signed: whoever follows it asks with the signer's rights, for one that may be
        gone.
        """
        if self.function:
            self._may(Grant("s3:GetObject", "Bucket/payloads/*"))
            self._may(Grant("s3:ListBucket", "Bucket"))

    def _may(self, grant: Grant) -> bool:
        self.used[self.function][grant].add(self.route)
        if grant in self.allowed[self.function]:
            return True
        self.denied[grant].add(self.route)
        return False

    @staticmethod
    def _refusal(request: Request) -> Answer:
        name = "AccessDenied" if request.service == "s3" else "AccessDeniedException"
        told = {"__type": name, "message": f"no policy allows {request.service}:{request.operation}"}
        return request.answered(403 if request.service == "s3" else 400, told)
