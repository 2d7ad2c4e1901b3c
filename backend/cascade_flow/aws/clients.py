"""What is asked often, by boto3's names, arguments and answers, without boto3. All else is asked of boto3's client.

DynamoDB's JSON stays as it is: binary values are base64 text in answers, and bytes or text in requests.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import quote

from cascade_flow.aws.connections import Answered, Asked
from cascade_flow.aws.failures import NotReached, ServiceError
from cascade_flow.aws.service import Service, refused
from cascade_flow.signing import digest

Rare = Callable[[], Any]

_ELSEWHERE = frozenset({301, 302, 307})
_KNOWN = frozenset({"Bucket", "Key"})
_KINDS = {"ContentType": "content-type", "ContentEncoding": "content-encoding"}


class Client:
    """A client of one service. `rare` opens boto3's client, for what this one doesn't know."""

    def __init__(self, service: Service, rare: Rare, close: Callable[[], None]) -> None:
        self.service = service
        self._rare = rare
        self.close = close

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._rare(), name)


class _Json(Client):
    """A service that speaks AWS's JSON."""

    version: ClassVar[str]
    target: ClassVar[str]

    def _ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        headers = {
            "content-type": f"application/x-amz-json-{self.version}",
            "x-amz-target": f"{self.target}.{operation}",
        }
        body = _REQUEST.encode(request).encode()
        answer = self.service.send(Asked("POST", f"{self.service.place.url}/", headers, body), operation)
        return _said(answer)


class DynamoDB(_Json):
    version, target = "1.0", "DynamoDB_20120810"

    def get_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("GetItem", request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("BatchGetItem", request)

    def query(self, **request: Any) -> dict[str, Any]:
        return self._ask("Query", request)

    def put_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("PutItem", request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("DeleteItem", request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        return self._ask("UpdateItem", request)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        return self._ask("TransactWriteItems", request)


class Sqs(_Json):
    version, target = "1.0", "AmazonSQS"

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        return self._ask("SendMessageBatch", request)

    def receive_message(self, **request: Any) -> dict[str, Any]:
        return self._ask("ReceiveMessage", request)

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        return self._ask("DeleteMessageBatch", request)

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        return self._ask("ChangeMessageVisibilityBatch", request)

    def get_queue_attributes(self, **request: Any) -> dict[str, Any]:
        return self._ask("GetQueueAttributes", request)


class S3(Client):
    """Whole objects. What asks for more, and a bucket that lies in another region, is boto3's matter."""

    def put_object(self, **request: Any) -> dict[str, Any]:
        answer = None
        if _KNOWN <= request.keys() <= _KNOWN | _KINDS.keys() | {"Body"}:
            kinds = {_KINDS[name]: request[name] for name in _KINDS if name in request}
            answer = self._ask("PutObject", self._object("PUT", request, request.get("Body", b""), kinds))
        return {} if answer is not None else dict(self._rare().put_object(**request))

    def get_object(self, **request: Any) -> dict[str, Any]:
        answer = None
        if request.keys() == _KNOWN:
            answer = self._ask("GetObject", self._object("GET", request, b"", {}))
        return {"Body": BytesIO(answer.body)} if answer is not None else dict(self._rare().get_object(**request))

    def generate_presigned_url(self, operation: str, **wish: Any) -> str:
        """Where an object can be read; signed here, without a request."""
        if operation != "get_object" or wish.keys() != {"Params", "ExpiresIn"} or wish["Params"].keys() != _KNOWN:
            return str(self._rare().generate_presigned_url(operation, **wish))
        return self.service.presigned(self._address(wish["Params"]), expires_s=wish["ExpiresIn"])

    def _object(self, method: str, request: dict[str, Any], body: bytes, kinds: dict[str, str]) -> Asked:
        return Asked(method, self._address(request), {**kinds, "x-amz-content-sha256": digest(body)}, body)

    def _address(self, request: dict[str, Any]) -> str:
        return f"{self._bucket(request['Bucket'])}/{quote(request['Key'], safe='/~')}"

    def _bucket(self, name: str) -> str:
        """A bucket has a host of its own, but where its name would not fit the certificate, and away from AWS."""
        place = self.service.place
        if place.is_named or "." in name:
            return f"{place.url}/{quote(name)}"
        return place.url.replace("://", f"://{name}.", 1)

    def _ask(self, operation: str, asked: Asked) -> Answered | None:
        """The answer; None where another region has it."""
        try:
            return self.service.send(asked, operation)
        except ServiceError as error:
            if error.status in _ELSEWHERE or error.code == "AuthorizationHeaderMalformed":
                return None
            raise


def json_refusal(answer: Answered, operation: str) -> ServiceError:
    """A refusal in AWS's JSON."""
    try:
        said = _said(answer)
    except NotReached:
        said = {}
    code = str(said.pop("__type", answer.headers.get("x-amzn-errortype", answer.status))).split("#")[-1].split(":")[0]
    message = str(said.get("message") or said.get("Message") or "")
    return refused(answer, operation, code, message, said)


def xml_refusal(answer: Answered, operation: str) -> ServiceError:
    """A refusal in S3's XML."""
    text = answer.body.decode(errors="replace")
    code, message = (re.search(f"<{name}>([^<]*)</{name}>", text) for name in ("Code", "Message"))
    return refused(answer, operation, code[1] if code else str(answer.status), message[1] if message else "", {})


def _said(answer: Answered) -> dict[str, Any]:
    try:
        said = json.loads(answer.body or b"{}")
    except ValueError as error:
        raise NotReached(f"the answer is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise NotReached("the answer is no object of JSON")
    return said


def _base64(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    raise TypeError(f"a request to AWS holds no {type(value).__name__}")


_REQUEST = json.JSONEncoder(default=_base64)
