"""Log lines of one microsecond each get a time of their own, in one walk."""

from collections.abc import Container

from hypothesis import given, strategies as st

from cascade_flow.operations.history import StepLine, _spread

times = st.integers(0, 30)


class Counted(Container[int]):
    """Taken times that count how often they are asked."""

    def __init__(self, taken: set[int]) -> None:
        self.asked = 0
        self._taken = taken

    def __contains__(self, time_us: object) -> bool:
        self.asked += 1
        return time_us in self._taken


def lines(times: list[int]) -> list[StepLine]:
    return [StepLine(time_us, "a", 1, "stdout", str(number)) for number, time_us in enumerate(sorted(times))]


@given(st.lists(times, max_size=40), st.sets(times))
def test_each_line_gets_the_first_time_that_is_free(given_us: list[int], taken: set[int]) -> None:
    spread = list(_spread(lines(given_us), taken))
    expected, used = [], set(taken)
    for time_us in sorted(given_us):
        expected.append(next(free for free in range(time_us, 200) if free not in used))
        used.add(expected[-1])
    assert [line.timestamp_us for line in spread] == expected
    assert [line.message for line in spread] == [line.message for line in lines(given_us)]


def test_thousands_of_lines_of_one_microsecond_are_looked_at_once_each() -> None:
    taken = Counted(set(range(1_000, 1_010)))
    spread = list(_spread(lines([1_000] * 8_000), taken))
    assert [line.timestamp_us for line in spread] == list(range(1_010, 9_010))
    assert taken.asked == 8_000 + 10
