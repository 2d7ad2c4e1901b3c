"""Each outside thing has one door: who makes requests, tells the time, reads the environment, spells keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from architecture.house import MODULES, Module, each

AWS = ("aws/boto.py", "client/", "local/", "smoke/")
TIME = ("clock.py",)
ENVIRONMENT = ("settings.py", "aws/environment.py")
"""Ours, and AWS's own, which its SDKs read by themselves."""
ENVIRONMENT_OF_CHILDREN = ("local/",)
"""Who starts processes hands them an environment."""
KEYS = ("dynamodb/keys.py",)
POWERTOOLS = ("api/", "functions/")
BROAD = (
    "serialization.py",
    "authoring/discovery.py",
    "worker/capture.py",
    "worker/heartbeat.py",
    "worker/loop.py",
    "worker/process_state.py",
    "worker/runner.py",
    "worker/step_logging.py",
    "worker/tracebacks.py",
    "remote/attempt.py",
    "remote/poller.py",
    "operations/many_submissions.py",
    "operations/sweep.py",
    "operations/unreadable.py",
    "api/router.py",
    "functions/",
)
"""Where somebody else's code runs, and where a request, a message, or an entry of the sweep or of a list has its last
defence."""

DRIVERS = ("boto3", "botocore")
KEY_TEXT = re.compile(r"^(R|B|E|L|P|WF|IDEM|A|V)#|^SCHEDULES|^(due|done|call|runs)#|^(pk|sk)$")
READS_TIME = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep"}


def behind(module: Module, doors: tuple[str, ...]) -> bool:
    """Whether a module is one of these doors."""
    return any(module.place == door or (door.endswith("/") and module.place.startswith(door)) for door in doors)


def outside(*doors: str) -> list[Module]:
    return [module for module in MODULES if not behind(module, doors)]


def imports_of(module: Module, *packages: str) -> list[str]:
    return sorted(name for name in module.imports if name.split(".")[0] in packages)


@each(outside(*AWS))
def test_requests_to_aws(module: Module) -> None:
    assert not imports_of(module, *DRIVERS)


@each(outside(*POWERTOOLS))
def test_powertools(module: Module) -> None:
    assert not imports_of(module, "aws_lambda_powertools")


@each(outside(*TIME))
def test_time(module: Module) -> None:
    assert not imports_of(module, "time"), "ask cascade_flow.clock"
    assert not [name for name in _attributes(module, "datetime", "date", "asyncio") if name in READS_TIME]


@each(outside(*ENVIRONMENT, *ENVIRONMENT_OF_CHILDREN))
def test_environment(module: Module) -> None:
    assert not {"os.environ", "os.getenv", "os.environb"} & module.imports
    assert not {"environ", "environb", "getenv", "putenv"} & set(_attributes(module, "os"))


@each(outside(*KEYS))
def test_key_text(module: Module) -> None:
    found = [text for text in _texts(module) if KEY_TEXT.match(text)]
    assert not found, f"{module} spells keys: {found}; dynamodb/keys.py has them"


@each(outside(*BROAD))
def test_errors_are_caught_by_name(module: Module) -> None:
    """A handler that catches everything swallows nothing: it ends by raising, the same or with words of its own."""
    handlers = [node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler)]
    broad = [node.lineno for node in handlers if _is_broad(node) and not isinstance(node.body[-1], ast.Raise)]
    assert not broad, f"{module} swallows everything in lines {broad}"


@each([module for module in MODULES if module.room == "worker"])
def test_what_the_worker_catches_is_kept_or_told(module: Module) -> None:
    """A handler that catches everything uses what it caught, or has a logger tell it."""
    broad = [node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler) and _is_broad(node)]
    assert not [node.lineno for node in broad if not _tells(node)]


def _tells(handler: ast.ExceptHandler) -> bool:
    inside = [node for part in handler.body for node in ast.walk(part)]
    used = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    asked = {node.attr for node in inside if isinstance(node, ast.Attribute)}
    return handler.name in used or bool(asked & {"exception", "handleError"}) or isinstance(handler.body[-1], ast.Raise)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    kinds = [] if handler.type is None else [node for node in ast.walk(handler.type) if isinstance(node, ast.Name)]
    return handler.type is None or any(kind.id in ("Exception", "BaseException") for kind in kinds)


def _attributes(module: Module, *owners: str) -> Iterator[str]:
    """What is asked of these names, for instance `now` in `datetime.now()` and in `datetime.datetime.now()`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name in owners:
                yield node.attr


def _texts(module: Module) -> Iterator[str]:
    """The texts that code uses: docstrings are left out."""
    prose = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
