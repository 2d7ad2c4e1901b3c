"""Mistakes made by rule: each operator, at each place of a module where it applies.

`python -m mutants --by-rule engine/joins.py` plants them one by one before the suites that see that floor.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mutants.equivalent import EQUIVALENT
from mutants.mutant import PACKAGE, Mutant


def _contract(*subjects: str) -> tuple[str, ...]:
    return tuple(f"contract/test_{subject}.py" for subject in subjects)


def _units(*subjects: str) -> tuple[str, ...]:
    return tuple(f"unit/worker/test_{subject}.py" for subject in subjects)


_SUITES = {
    "engine/caller.py": (
        "unit/engine",
        "clauses/test_callers.py",
        *_contract("caller_steps", "caller_runs", "appends"),
    ),
    "engine/copies.py": ("unit/engine", "faults/test_reruns.py", *_contract("going_on_from_callers")),
    "engine/repeats.py": _contract("refusals", "reports", "caller_steps"),
    "engine/reuse.py": ("faults/test_reruns.py", *_contract("going_on_from_callers")),
    "engine/": ("unit/engine", "clauses", *_contract("reports", "again", "submission")),
    "graph.py": ("unit/test_graph.py", "contract/test_graphs.py"),
    "retry.py": ("unit/test_retry.py",),
    "projection/": ("unit/projection", "properties/test_projections.py"),
    "analytics/": ("unit/analytics",),
    "worker/": _units(
        "attempt",
        "batches",
        "capture",
        "capture_descriptors",
        "carrying_out",
        "children",
        "context",
        "context_beside",
        "descriptors",
        "forks",
        "frames",
        "heartbeat",
        "idempotency_key",
        "last_net",
        "lines_of_an_attempt",
        "log_buffer",
        "loop",
        "process_state",
        "resources",
        "runner",
        "shift",
        "step_logging",
        "streams",
        "telling",
        "tracebacks",
        "verdicts",
    ),
    "remote/": ("unit/remote",),
    "aws/": ("unit/aws",),
    "authoring/": ("unit/authoring", "unit/worker/test_runner.py", "unit/worker/test_context.py"),
    "api/diagnosis": ("functions/test_diagnosis.py", "functions/test_names.py"),
    "api/report": ("functions/test_reports.py", "functions/test_service.py", "functions/test_names.py"),
    "api/metrics": ("functions/test_metrics.py", "functions/test_dashboard.py"),
    "api/t": ("functions/test_metrics.py", "functions/test_traces.py"),
    "api/worker": ("functions/test_worker_protocol.py", "functions/test_worker_reports.py"),
    "api/": (
        "functions/test_problems.py",
        "functions/test_hostile_requests.py",
        "functions/test_runs.py",
        "functions/test_commands.py",
        "functions/test_steps.py",
        "functions/test_names.py",
        "functions/test_logs.py",
    ),
    "operations/history": (
        "clauses",
        "unit/test_log_lines.py",
        "faults/test_reruns.py",
        *_contract("history", "again"),
    ),
    "operations/": (
        "clauses",
        "contract",
        "faults/test_late_stops.py",
        "faults/test_put_off.py",
        "faults/test_reports_without_work.py",
        "faults/test_reruns.py",
        "unit/test_payloads.py",
        "unit/test_tally.py",
        "unit/test_lanes.py",
    ),
    "dynamodb/conditions.py": ("unit/aws/test_conditions.py", "clauses"),
    "dynamodb/due.py": ("unit/dynamodb/test_due_index.py", "clauses", "faults/test_put_off.py"),
    "dynamodb/listing.py": ("properties/test_pages_of_runs.py", *_contract("listing", "runs", "batches")),
    "wake.py": ("unit/test_wake.py", "clauses/test_wakes.py"),
    "portions.py": ("unit/test_portions.py",),
    "": ("clauses", "contract", "unit/test_keys.py", "unit/test_items.py", "unit/test_payloads.py"),
}
"""Which tests see a module, the first that fits."""
_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_WHOLE = (ast.Module, ast.ClassDef, ast.FunctionDef)
"""What is not changed itself."""
_REPLACED = {"min": "max", "max": "min", "all": "any", "any": "all"}
Change = Callable[[ast.AST], ast.AST | None]
"""What becomes of a node where it applies; None where it doesn't."""


@dataclass(frozen=True)
class ByRule(Mutant):
    """A mutant that an operator has made: of node `number` of the module's tree, which is told on these lines."""

    number: int = 0
    changed: ast.AST = field(default_factory=ast.Pass, repr=False)
    lines: range = range(0)

    def planted(self) -> str:
        return ast.unparse(self.tree())

    def tree(self) -> ast.Module:
        """The module with the mistake in it; all else is on the line where it was."""
        whole = self.sound_tree()
        target = list(ast.walk(whole))[self.number]
        changed = ast.copy_location(copy.deepcopy(self.changed), target)
        _Swap(target, changed).visit(whole)
        return ast.fix_missing_locations(whole)


def suites_of(place: str) -> tuple[str, ...]:
    """The tests that see this module's floor."""
    return next(suites for start, suites in _SUITES.items() if place.startswith(start))


def by_rule(place: str) -> Iterator[ByRule]:
    """All mutants of a module."""
    tests = suites_of(place)
    tree = ast.parse((PACKAGE / place).read_text(encoding="utf-8"))
    left = {id(each) for node in ast.walk(tree) if _is_left(node) for each in ast.walk(node)}
    for number, node in enumerate(ast.walk(tree)):
        for change in _CHANGES:
            changed = None if id(node) in left or isinstance(node, _WHOLE) else change(copy.deepcopy(node))
            if changed is not None:
                what, lines = f"{change.__name__.strip('_')}: {_line(node, changed)}", _lines(node)
                why = EQUIVALENT.get((place, what), "")
                name = f"{place}:{lines.start} {what}"
                yield ByRule(name, "by rule", place, "", "", tests, why, number=number, changed=changed, lines=lines)


def _lines(node: ast.AST) -> range:
    """Where a node is told; of what holds statements, only where it begins."""
    told = node.test if isinstance(node, ast.If) else node
    numbers = [number for each in ast.walk(told) if (number := getattr(each, "lineno", 0))]
    return range(min(numbers, default=0), max(numbers, default=0) + 1)


def _line(node: ast.AST, changed: ast.AST) -> str:
    before, after = (ast.unparse(each).partition("\n")[0] for each in (node, changed))
    return f"{before} → {after}"[:150]


class _Swap(ast.NodeTransformer):
    def __init__(self, target: ast.AST, changed: ast.AST) -> None:
        self._target, self._changed = target, changed

    def visit(self, node: ast.AST) -> ast.AST:
        return self._changed if node is self._target else super().generic_visit(node)


def _is_left(node: ast.AST) -> bool:
    """What no mistake is made in: prose, and how data classes are declared."""
    prose = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return prose or (isinstance(node, ast.Call) and ast.unparse(node.func) == "dataclass")


def _compared_otherwise(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.Compare):
        return None
    node.ops = [_COMPARED[type(node.ops[0])](), *node.ops[1:]]
    return node


def _and_for_or(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.BoolOp):
        return None
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return node


def _without_its_first(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.BoolOp):
        return None
    return node.values[1] if len(node.values) == 2 else ast.BoolOp(node.op, node.values[1:])


def _without_its_last(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.BoolOp):
        return None
    return node.values[0] if len(node.values) == 2 else ast.BoolOp(node.op, node.values[:-1])


def _without_not(node: ast.AST) -> ast.AST | None:
    return node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else None


def _one_more(node: ast.AST) -> ast.AST | None:
    is_number = isinstance(node, ast.Constant) and type(node.value) is int
    return ast.Constant(node.value + 1) if is_number else None  # type: ignore[attr-defined]


def _plus_for_minus(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add | ast.Sub):
        return None
    node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    return node


def _the_other_branch(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.IfExp):
        return None
    return ast.IfExp(node.test, node.orelse, node.body)


def _never(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.If):
        return None
    node.test = ast.Constant(False)
    return node


def _always(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.If):
        return None
    node.test = ast.Constant(True)
    return node


def _left_out(node: ast.AST) -> ast.AST | None:
    return ast.Pass() if isinstance(node, ast.Expr | ast.AugAssign) else None


def _nothing_returned(node: ast.AST) -> ast.AST | None:
    worth = isinstance(node, ast.Return) and node.value is not None
    return ast.Return(ast.Constant(None)) if worth and ast.unparse(node) != "return None" else None


def _other_function(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in _REPLACED:
        return None
    node.func.id = _REPLACED[node.func.id]
    return node


def _other_truth(node: ast.AST) -> ast.AST | None:
    is_truth = isinstance(node, ast.Constant) and type(node.value) is bool
    return ast.Constant(not node.value) if is_truth else None  # type: ignore[attr-defined]


def _all_taken(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.comprehension) or not node.ifs:
        return None
    node.ifs = node.ifs[1:]
    return node


def _without_argument(number: int) -> Change:
    """Of `replace(…)`: its change number so many is not made."""

    def argument_left_out(node: ast.AST) -> ast.AST | None:
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "replace" or len(node.keywords) <= number:
            return None
        del node.keywords[number]
        return node

    argument_left_out.__name__ = f"without_argument_{number}"
    return argument_left_out


_CHANGES: tuple[Change, ...] = (
    _compared_otherwise,
    _and_for_or,
    _without_its_first,
    _without_its_last,
    _without_not,
    _one_more,
    _plus_for_minus,
    _the_other_branch,
    _never,
    _always,
    _left_out,
    _nothing_returned,
    _other_function,
    _other_truth,
    _all_taken,
    *map(_without_argument, range(12)),
)
