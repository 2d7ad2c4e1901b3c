"""The functions as Lambda runs them: their own handlers, a table and a queue; only the sockets are missing."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from reference import conformance

import events
from cascade_flow import DynamoDBBackend

FUNCTIONS = Path(__file__).parents[2] / "functions"


@dataclass(frozen=True)
class Reply:
    """What an HTTP function answered."""

    status: int
    headers: dict[str, str]
    json: Any


@dataclass
class Functions:
    """The deployed functions, around one table and one queue."""

    backend: DynamoDBBackend
    sqs: Any
    queue_url: str

    def asked(self, event: events.Event) -> Reply:
        """Call the function that API Gateway leads the request to."""
        return self.http(events.function_of(event), event)

    def http(self, name: str, event: events.Event) -> Reply:
        """Call an HTTP function; its answer is one that API Gateway takes, and as docs/openapi.json says."""
        answer = app(name).handler(event, events.Context())
        assert json.loads(json.dumps(answer)) == answer
        body = base64.b64decode(answer["body"]) if answer.get("isBase64Encoded") else answer["body"].encode()
        if answer["headers"].get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        reply = Reply(answer["statusCode"], answer["headers"], json.loads(body) if body else None)
        asked = event.get("requestContext", {}).get("http", {})
        media_type = reply.headers.get("content-type", "")
        conformance.check(asked.get("method", ""), asked.get("path", ""), reply.status, media_type, reply.json)
        return reply

    def work(self) -> int:
        """Hand what is in the queue to the worker, as the event source does, until the queue is empty."""
        delivered = 0
        while found := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            event = events.messages([message["Body"] for message in found])
            assert app("worker").handler(event, events.Context()) == {"batchItemFailures": []}
            for message in found:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
            delivered += len(found)
        return delivered

    def lose_messages(self) -> None:
        self.sqs.purge_queue(QueueUrl=self.queue_url)

    def submit(self, **body: Any) -> str:
        """A run of `parcels`."""
        wish = {"workflowSlug": "parcels", "input": {"weights": [1.5, 2.0]}, **body}
        return str(self.http("submission", events.post("/runs", wish)).json["runId"])


@cache
def app(name: str) -> ModuleType:
    """The code of a function."""
    path = FUNCTIONS / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"function_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
