"""A limit's next free turn: one item, moved on under the time that was seen by each who takes one."""

from __future__ import annotations

import secrets

from cascade_flow import clock
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.changes import BranchRefused
from cascade_flow.dynamodb.items import Item, to_branch
from cascade_flow.dynamodb.ledger import scheduled
from cascade_flow.dynamodb.table import NONCE, Attr, Refused, Table, Update
from cascade_flow.engine.limits import Turn
from cascade_flow.engine.state import Branch, Limit
from cascade_flow.errors import ConflictError

_ROUNDS = 50
_KEPT_S = 7 * 86_400
"""For how long the table keeps what nobody has touched, beyond the turn that it tells of."""


def next_turn(table: Table, limit: Limit, *, at_once: bool = False) -> Turn | None:
    """Take the next free turn; with `at_once` only one that is now. Raises ConflictError where others always win."""
    found = table.get(keys.turns(limit.id))
    free_us = 0 if found is None else int(found["t"])
    for _ in range(_ROUNDS):
        now_us = clock.now_us()
        if at_once and free_us > now_us:
            return None
        turn = Turn.after(limit, free_us, now_us)
        seen_us = _take(table, limit, free_us, turn)
        if seen_us is None:
            return turn
        free_us = seen_us
    raise ConflictError


def next_free_us(table: Table, id: str) -> int | None:
    """When the next turn of a limit is free; None where nobody has ever taken one."""
    found = table.get(keys.turns(id))
    return None if found is None else int(found["t"])


def note(table: Table, run_id: str, branch: Branch, turn_us: int, *, look_us: int) -> Branch:
    """Note when it is the turn of an attempt that is scheduled; raises BranchRefused where that is noted already, or it
    is scheduled no more. The due index is not to have it before then.
    """
    when = scheduled(branch) & Attr("h").not_exists() & Attr("tu").not_exists()
    noted: Item = {"tu": turn_us, NONCE: secrets.token_hex(3)}
    if (branch.due_us or 0) < turn_us:
        noted |= {keys.DUE_SHARD: keys.due(run_id), keys.DUE_TIME: look_us}
    try:
        return to_branch(table.write([Update(keys.branch(run_id, branch.name), when, set=noted, add={"sq": 1})]))
    except Refused as refused:
        raise BranchRefused.by(refused.items[0]) from None


def _take(table: Table, limit: Limit, free_us: int, turn: Turn) -> int | None:
    """Move the next free turn on; None where that was won, otherwise where it stands."""
    as_seen = Attr("t").eq(free_us) if free_us else Attr("t").not_exists()
    expiry_s = turn.next_us // 1_000_000 + _KEPT_S
    change: Item = {"t": turn.next_us, keys.EXPIRY: expiry_s, NONCE: secrets.token_hex(3)}
    try:
        table.write([Update(keys.turns(limit.id), as_seen, set=change)])
    except Refused as refused:
        return int((refused.items[0] or {}).get("t", 0))
    return None
