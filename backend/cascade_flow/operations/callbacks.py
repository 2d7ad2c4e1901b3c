"""Addresses that an outside system may call without credentials of AWS: a secret stands for an event of a run.

Of a secret only the hash is stored, in the run's partition, so it goes with the run; who reads the table can't call.
Every call for an address gives another one; whichever is used first sends the event, and then none of them does any
more.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.items import Item
from cascade_flow.dynamodb.table import Put
from cascade_flow.engine.state import ENDED, Facts, Run
from cascade_flow.errors import ConfigurationError, EventClosedError, EventNotFoundError, InvalidIdError
from cascade_flow.model.ids import check_run_id
from cascade_flow.operations.runtime import Runtime
from cascade_flow.operations.signals import Signals, declared, was_sent
from cascade_flow.records import dataclass

PATH = "/callbacks"
_SECRET_BYTES = 32
_LONGEST_SECRET = 100


@dataclass(frozen=True)
class Asked:
    """What an address asks for: an event of a run, whose payload has a schema."""

    run: Run
    event: str
    schema: Any
    mark: str


class Callbacks:
    """Addresses of the runs of one table."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def address(self, facts: Facts, event: str) -> str:
        """A new address that sends this event. Raises EventNotFoundError; ConfigurationError where nobody answers."""
        declared(facts.graph, event)
        if self._runtime.callbacks_url is None:
            raise ConfigurationError(
                "this stack takes no calls from outside: deploy it with the parameter Callbacks=true, and let a worker "
                "of the stack make the address"
            )
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = keys.callback(facts.run_id, _mark(secret))
        item: Item = {keys.PARTITION: key.pk, keys.SORT: key.sk, "s": event, keys.EXPIRY: facts.expires_s}
        self._runtime.ledger.table.write([Put(item)])
        return f"{self._runtime.callbacks_url.rstrip('/')}{PATH}/{facts.run_id}/{secret}"

    def asked(self, run_id: str, secret: str) -> Asked:
        """What an address asks for. Raises EventNotFoundError where it is none, EventClosedError where it is used or
        too late.
        """
        found = self._known(run_id, secret)
        branch = None if found.run.status in ENDED else self._runtime.ledger.branch(run_id, found.event)
        if found.run.status in ENDED:
            raise EventClosedError("the run has ended", state=found.run.status)
        if branch is not None and was_sent(self._runtime.graph_of(found.run), branch):
            raise EventClosedError("the event was sent already", state="sent")
        if branch is not None and branch.status != "open":
            raise EventClosedError("the time for it is over", state="timed-out")
        return found

    def decide(self, asked: Asked, data: Any) -> None:
        """Send the event, once. Raises EventClosedError, InputInvalidError, PayloadTooLargeError."""
        sent = Signals(self._runtime).send(asked.run.run_id, asked.event, data, key=asked.mark, via="callback")
        if not sent.is_new:
            raise EventClosedError("the event was sent already", state="sent")

    def _known(self, run_id: str, secret: str) -> Asked:
        """What a secret stands for; whether the run or the secret is wrong is not told."""
        mark = _mark(secret[:_LONGEST_SECRET])
        try:
            item = self._runtime.ledger.table.get(keys.callback(check_run_id(run_id), mark))
        except InvalidIdError:
            item = None
        run = None if item is None else self._runtime.ledger.run(run_id)
        if item is None or run is None or not hmac.compare_digest(str(item[keys.SORT]), f"S#{mark}"):
            raise EventNotFoundError("there is nothing at this address")
        event = str(item["s"])
        return Asked(run, event, declared(self._runtime.facts(run).graph, event).payload_schema_json, mark)


def _mark(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
