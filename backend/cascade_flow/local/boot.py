"""Runs the emulator, and makes up for what it does otherwise: it answers whoever asks, so a guard stands before it;
its schedules know only minutes, so the reaper is called from here every few seconds; it wants a permission that AWS has
no word for, and its API says too much of one that is missing; its routes stop where a line ends; it unpacks layers for
each process anew; it waits for a custom resource whose function has long ended.

A script of its own, run by the emulator's interpreter: of this project it can import the guard beside it, and no more.
It prints the pid that it goes on with, detached from whoever started it. The emulator and the calls end together.
Arguments: the log's path, the port, the stack's name, the milliseconds between two calls of the reaper. The stack's own
key is in the environment, where only its owner can read it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import runpy
import secrets
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def detach(log: str) -> None:
    """Go on as another process that leads a session of its own, and that speaks to the log."""
    if os.fork():
        os._exit(0)
    os.setsid()
    print(os.getpid(), flush=True)
    with open(log, "wb") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())


def call_reaper(endpoint_url: str, stack: str, every_ms: int) -> None:
    """Call the stack's reaper for ever, one call after the other; until it is deployed there is nothing to call."""
    region, once = os.environ["MINISTACK_REGION"], Config(retries={"total_max_attempts": 1})
    functions = boto3.client("lambda", endpoint_url=endpoint_url, region_name=region, config=once)
    formation = boto3.client("cloudformation", endpoint_url=endpoint_url, region_name=region, config=once)
    pause = threading.Event()
    while not pause.wait(every_ms / 1000):
        try:
            found = formation.describe_stack_resource(StackName=stack, LogicalResourceId="ReaperFunction")
            name = found["StackResourceDetail"]["PhysicalResourceId"]
            functions.invoke(FunctionName=name, Payload=b'{"source": "cascade.local"}')
        except (BotoCoreError, ClientError, KeyError):
            continue


class Emulated:
    """What the guard asks of the emulator: whose a key is, which service a request goes to, how that one refuses."""

    def __init__(self, guard: Any) -> None:
        self.guard = guard
        self.app: Any = importlib.import_module("ministack.app")
        self.router: Any = importlib.import_module("ministack.core.router")
        self.identities: Any = importlib.import_module("ministack.core.iam_evaluator")
        self.responses: Any = importlib.import_module("ministack.core.responses")

    def secret(self, claim: Any) -> str | None:
        """The stack's own, or one that the emulator has issued, to a function for instance; that is no admin.

        Other keys that the emulator takes for its owner's (`test`, an account's number) are nobody's here.
        """
        if claim.access_key == os.environ["AWS_ACCESS_KEY_ID"]:
            return None if claim.token else os.environ["AWS_SECRET_ACCESS_KEY"]
        if claim.service == self.guard.ADMIN or self.identities.is_root_access_key(claim.access_key):
            return None
        account = self.responses._account_from_sts_session(claim.access_key)
        account = account or self.identities.find_iam_access_key_account(claim.access_key)
        found = self.identities.resolve_credential(claim.access_key, account, claim.token)
        return getattr(found, "secret_access_key", None)

    def accepts(self, request: Any, service: str) -> bool:
        """Whether the request goes to this service: a target's name is stronger than the one that was signed."""
        if self._is_api(request) or request.path.startswith("/_"):
            return bool(service == ("execute-api" if self._is_api(request) else self.guard.ADMIN))
        signed = {"authorization": f"Credential=key/date/region/{service}/"}
        routed = self.router.detect_service(request.method, request.path, request.headers, request.parameters)
        is_known = service == "s3" or self.router.detect_service("GET", "/", signed, {}) != "s3"
        return bool(is_known and routed == self.router.detect_service(request.method, request.path, signed, {}))

    def refusal(self, request: Any, refused: Any) -> tuple[int, dict[str, str], bytes]:
        """As AWS says it: an HTTP API has one word for it, whatever the reason."""
        if self._is_api(request) or request.path.startswith("/_") or isinstance(refused, self.guard.Misplaced):
            words = "Forbidden" if self._is_api(request) else refused.message
            return 403, {"content-type": "application/json"}, json.dumps({"message": words}).encode()
        service = self.router.detect_service(request.method, request.path, request.headers, request.parameters)
        error = self.identities.AuthError(refused.code, refused.message)
        status, headers, body = self.app._credential_failure(service, "", secrets.token_hex(8), error, request.headers)
        return status, headers, body.encode() if isinstance(body, str) else body

    def _is_api(self, request: Any) -> bool:
        host = request.headers.get("host", "")
        return self.app._parse_execute_api_url(host, request.path) is not None


def set_guard(port: int) -> None:
    """Put the guard before the emulator, whatever the request is for."""
    spec: Any = importlib.util.spec_from_file_location("guard", Path(__file__).with_name("guard.py"))
    guard: Any = importlib.util.module_from_spec(spec)
    sys.modules["guard"] = guard
    spec.loader.exec_module(guard)
    emulated = Emulated(guard)
    known = guard.Emulator(port, os.environ["MINISTACK_REGION"], emulated.secret, emulated.accepts, emulated.refusal)
    emulated.app.app = guard.guarded(emulated.app.app, known)


def issue_secret_credentials() -> None:
    """Let nobody guess a function's credentials: the emulator makes them of names that everybody knows."""
    runtime: Any = importlib.import_module("ministack.core.lambda_runtime")
    functions: Any = importlib.import_module("ministack.services.lambda_svc")
    issue, salt = runtime.execution_credentials, secrets.token_hex()

    def issued(config: dict[str, Any]) -> Any:
        return issue({**config, "Role": f"{salt}/{config.get('Role', '')}"})

    runtime.execution_credentials = functions.execution_credentials = issued


def find_dead_resources() -> None:
    """Let a custom resource fail as soon as its function has failed: the emulator would wait for it all the same."""
    functions: Any = importlib.import_module("ministack.services.lambda_svc")
    resources: Any = importlib.import_module("ministack.services.cloudformation.custom_resource")
    execute = functions._execute_function_with_config_scope

    def executed(function: Any, event: Any) -> Any:
        ended = execute(function, event)
        token = str(event.get("ResponseURL", "") if isinstance(event, dict) else "").rpartition("/")[2]
        waiting = resources._pending.get(token)
        if waiting and waiting["result"] is None and ended.get("error"):
            said = ended.get("body")
            reason = said.get("errorMessage", said) if isinstance(said, dict) else said
            resources.deliver_response(token, {"Status": "FAILED", "Reason": f"its function failed: {reason}"})
        return ended

    functions._execute_function_with_config_scope = executed


def grant_batches() -> None:
    """Let who may do something with a message of SQS do it with a batch: for AWS these are one action, here two."""
    permissions: Any = importlib.import_module("ministack.core.iam_actions")
    asked = permissions.extract_iam_action

    def granted(*args: Any, **kwargs: Any) -> Any:
        action = asked(*args, **kwargs)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    permissions.extract_iam_action = granted


def refuse_in_an_apis_words() -> None:
    """Let the API refuse whom no policy allows a request as HTTP APIs do: the emulator would say which it wants."""
    app: Any = importlib.import_module("ministack.app")
    enforce = app._enforce_execute_api
    refusal = 403, {"Content-Type": "application/json"}, b'{"message":"Forbidden"}'

    def enforced(*args: Any, **kwargs: Any) -> Any:
        return refusal if enforce(*args, **kwargs) else None

    app._enforce_execute_api = enforced


def match_lines() -> None:
    """Let `{name+}` in a route take whatever `{name}` takes: the emulator's stops where a line ends."""
    gateway: Any = importlib.import_module("ministack.services.apigateway")
    extract, line_end = gateway._extract_path_params, "\uffff"

    def extracted(route: str, path: str) -> dict[str, str] | None:
        found = extract(route, path.replace("\n", line_end))
        return found and {name: value.replace(line_end, "\n") for name, value in found.items()}

    gateway._extract_path_params = extracted


def unpack_layers_once() -> None:
    """Unpack a layer when first it is asked for, and link to that from then on: most of a cold start would be this."""
    unpack = zipfile.ZipFile.extractall
    cache = Path(tempfile.gettempdir()) / "layers"
    one_at_a_time = threading.Lock()

    def unpacked(archive: zipfile.ZipFile, path: Any = None, *rest: Any) -> None:
        if archive.filename is None or not Path(path or ".").name.startswith("layer_"):
            unpack(archive, path, *rest)
            return
        with one_at_a_time:
            place = cache / hashlib.sha256(Path(archive.filename).read_bytes()).hexdigest()
            if not place.exists():
                unpack(archive, place.with_suffix(".new"), *rest)
                place.with_suffix(".new").rename(place)
        for part in place.iterdir():
            (Path(path) / part.name).symlink_to(part)

    setattr(zipfile.ZipFile, "extractall", unpacked)  # noqa: B010


def main(log: str, port: str, stack: str, every_ms: str) -> None:
    detach(log)
    arguments = (f"http://127.0.0.1:{port}", stack, int(every_ms))
    threading.Thread(target=call_reaper, args=arguments, name="reaper", daemon=True).start()
    grant_batches()
    refuse_in_an_apis_words()
    match_lines()
    unpack_layers_once()
    issue_secret_credentials()
    find_dead_resources()
    set_guard(int(port))
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
