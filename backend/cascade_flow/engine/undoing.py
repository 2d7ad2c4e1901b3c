"""What is known of undoing: which steps have completed, and what a run is there for that undoes another. Data only."""

from __future__ import annotations

from typing import NamedTuple

from cascade_flow.records import dataclass


class Completion(NamedTuple):
    """That a step has completed: when, and in which commit that is told; None: in its branch's tail. Or that a map has
    handed its items out, and was still under way.
    """

    time_us: int
    step: str
    commit_us: int | None
    in_part: bool = False


class Done(NamedTuple):
    """A step that has completed, and the commit that tells what it has given; None: its branch's tail tells it.

    Or (`in_part`) a map that was still under way, of which some items may have completed.
    """

    step: str
    commit_us: int | None
    in_part: bool = False


@dataclass(frozen=True)
class Undoing:
    """What a run is there for that undoes another: these steps of that run, in this order."""

    run_id: str
    done: tuple[Done, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(done.step for done in self.done)
