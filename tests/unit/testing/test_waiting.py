"""Time that a workflow waits is skipped in its tests: delays, and steps that are not ready, real or faked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cascade_flow import Later, Poll, Retry, StepContext, Workflow
from cascade_flow.testing import Engine, in_turn

HOUR = timedelta(hours=1)


def reminders() -> Workflow:
    flow = Workflow("reminders")

    @flow.step
    def quote() -> int:
        return 7

    @flow.step(delay=HOUR)
    def remind(quote: int) -> str:
        return f"quote {quote} is open"

    @flow.step(export=True, poll=Poll(every=timedelta(minutes=5), give_up_after=HOUR), retry=Retry(max_attempts=1))
    def answer(remind: str, ctx: StepContext) -> str:
        asked = ctx.checkpoint("ask", lambda: ctx.attempt)
        if ctx.attempt < 3:
            raise Later(reason="no answer yet")
        return f"answered, asked in attempt {asked}"

    return flow


def test_an_hour_and_two_polls_take_no_time(engine: Engine) -> None:
    begun = engine.now
    result = engine.run(reminders(), expect="completed")
    assert result.output == {"answer": "answered, asked in attempt 1"}
    assert timedelta(minutes=70) <= engine.now - begun < timedelta(minutes=71)
    told = [(attempt.status, attempt.reason) for attempt in result.steps["answer"].attempts]
    assert told == [("postponed", "no answer yet")] * 2 + [("completed", None)]
    first, second, _ = result.steps["answer"].attempts
    assert second.started_at_us - (first.retry_at_us or 0) < 1_000_000


def test_a_day_passes_step_by_step(engine: Engine) -> None:
    """Longer than a message carries, so that the reaper hands it over."""
    result = engine.submit(reminders())
    engine.advance("59m")
    assert (result.steps["quote"].status, result.steps["remind"].status) == ("completed", "scheduled")
    engine.advance("2m")
    assert result.steps["remind"].status == "completed"


def test_a_fake_may_not_be_ready(engine: Engine) -> None:
    fake = {"answer": in_turn(Later(HOUR / 2), Later(at=datetime.now(UTC) + 2 * HOUR), Later(), "at last")}
    assert engine.run(reminders(), fake=fake, expect="completed").output == {"answer": "at last"}


def test_patience_ends_in_a_test_too(engine: Engine) -> None:
    result = engine.run(reminders(), fake={"answer": Later(reason="no answer yet")})
    assert result.status == "failed"
    assert result.error is not None
    assert result.error.message == "step 'answer' was not ready after 1:00:00: no answer yet"


def test_the_log_says_why_it_waits(engine: Engine) -> None:
    assert engine.run(reminders()).logs("answer") == "later: no answer yet\nlater: no answer yet"
