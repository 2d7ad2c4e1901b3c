"""A wake-up that comes before its time, by a clock that is behind: it is sent again, and nobody has to sweep."""

import pytest

from cascade_flow import clock
from cascade_flow.dynamodb.schema import create_table
from shapes import chain
from simulation import TickingClock, World
from testbed.servers import Server, fresh_table


class ShiftedClock(TickingClock):
    """A clock that can be put back."""

    def put_back(self, us: int) -> None:
        self._now_us -= us


@pytest.mark.parametrize("behind_us", [20_000, 900_000])
def test_a_worker_whose_clock_is_behind_sends_the_wake_up_again(server: Server, behind_us: int) -> None:
    with fresh_table(server, create_table) as store, clock.use(ShiftedClock()) as time:
        world = World(store, clock=time)
        world.register(chain(2))
        run_id = world.submit()
        [wake] = world.mailbox.wakes
        world.mailbox.wakes.clear()
        time.put_back(behind_us)
        world.deliver(wake)
        assert world.ran == []
        assert [again.step for again in world.mailbox.wakes] == [wake.step]
        assert world.mailbox.wakes[0].available_at_us > clock.now_us()
        time.pause_us(behind_us)
        world.deliver(world.mailbox.wakes.pop())
        assert world.check(run_id).status == "completed"
