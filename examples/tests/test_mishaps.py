"""Everything that goes wrong in `mishaps`, in a second: its waits are skipped, its sleeps faked, its worker killed."""

from __future__ import annotations

import pytest
from workflows import mishaps as module
from workflows.mishaps import mishaps

from cascade_flow.testing import Engine


@pytest.fixture(autouse=True)
def legs_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", Pauseless())


class Pauseless:
    """Stands in for `time`, which the engine leaves to the code."""

    def sleep(self, seconds: float) -> None:
        """Nothing passes."""


def test_it_ends_well(engine: Engine) -> None:
    engine.time_out("slow").kill("long_haul", after_checkpoint="leg")
    result = engine.run(mishaps, {"legs": 3}, expect="completed")
    assert result.output["report"] == {
        "unreliable": "the other side answered attempt 3",
        "slow": "attempt 2 was quick enough",
        "discount": None,
        "long_haul": "3 legs, 3 of them by the process that arrived",
    }
    assert [len(step.attempts) for step in result.steps.values()] == [3, 2, 1, 0, 2, 1]


def test_nobody_pays_twice(engine: Engine) -> None:
    logs = engine.time_out("slow").run(mishaps, {"legs": 1}).logs("unreliable").splitlines()
    assert len(logs) == 3
    assert len(set(logs)) == 1, "each attempt asks with the same key"


def test_a_leg_that_is_done_is_not_travelled_again(engine: Engine) -> None:
    engine.time_out("slow").kill("long_haul", after_checkpoint="leg")
    result = engine.run(mishaps, {"legs": 3})
    assert result.logs("long_haul", attempt=1).count("is done") == 1
    assert result.logs("long_haul", attempt=2).count("is done") == 2


def test_a_voucher_that_is_given_is_worth_something(engine: Engine) -> None:
    result = engine.run(mishaps, {"legs": 1, "voucher": "SPRING"}, fake={"slow": "quick"})
    assert result.output["report"]["discount"] == 6


def test_who_never_answers_fails_the_run(engine: Engine) -> None:
    result = engine.run(mishaps, {"legs": 1}, fake={"slow": "quick", "unreliable": ConnectionError("no line")})
    assert result.status == "failed"
    assert len(result.steps["unreliable"].attempts) == 4
    retried = engine.retry(result, fake={"unreliable": "yes"}, expect="completed")
    assert retried.output["report"]["unreliable"] == "yes"


def test_an_error_that_its_policy_does_not_know_is_final(engine: Engine) -> None:
    result = engine.run(mishaps, {"legs": 1}, fake={"slow": "quick", "unreliable": ValueError("no such customer")})
    assert len(result.steps["unreliable"].attempts) == 1
