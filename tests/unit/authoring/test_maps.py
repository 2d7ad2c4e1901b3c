"""Maps as their authors declare them: what they go over, what each call is given, what others receive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from cascade_flow import ChildrenDefinition, Concurrency, ItemFailed, Results, Retry, StepContext, Workflow
from cascade_flow.authoring import bind
from cascade_flow.errors import DefinitionError, InputInvalidError


class Line(BaseModel):
    sku: str


class Packed(BaseModel):
    """As little as can be: anything that is an object is read as one."""

    weight: int = 0


class Order(BaseModel):
    lines: list[Line] = []


FAILED = '{"$failed":{"index":1,"run_id":"r~pack~1","error":{"name":"ValueError","message":"no stock"}}}'


def orders(body: Callable[..., Any] | None = None, *, lines: Any = list[Line], **terms: Any) -> Workflow:
    """A workflow with a step `lines`, which returns that, and a map over it."""
    flow = Workflow("orders", input=Order)

    def read(): ...  # type: ignore[no-untyped-def]

    def pack(line: Line, input: Order, index: int) -> Packed:
        return Packed(weight=index)

    read.__annotations__ = {"return": lines}
    flow.step(id="lines")(read)
    flow.map(**{"over": "lines", "id": "pack", **terms})(body or pack)
    return flow


def receiving(takes: Any, **terms: Any) -> Workflow:
    """The same, with a step that receives the results as this."""
    flow = orders(**terms)

    def ship(pack): ...  # type: ignore[no-untyped-def]

    ship.__annotations__ = {} if takes is None else {"pack": takes}
    flow.step(ship)
    return flow


def refused(flow: Workflow) -> str:
    with pytest.raises(DefinitionError) as told:
        flow.definition()
    return str(told.value)


def given(flow: Workflow, step: str, outputs: dict[str, str | None], index: int | None = None) -> dict[str, Any]:
    step_of = flow.definition().steps[step]
    return bind(step_of, input_json='{"lines":[]}', outputs=outputs, context=StepContext(), index=index)


def test_it_is_registered_with_what_it_goes_over_and_how() -> None:
    flow = orders(concurrency=7, batch=20, tolerate=0.02, export=True, retry=Retry(max_attempts=5), timeout=30)
    pack = flow.registration().steps[1]
    assert pack.children == ChildrenDefinition(kind="map", over="lines", concurrency=7, batch=20, tolerate=0.02)
    assert (pack.dependencies, pack.export_output, pack.timeout_ms) == (["lines"], True, 30_000)
    assert pack.retry[0].max_attempts == 5


def test_what_it_goes_over_may_be_named_by_its_function_and_be_a_map_or_an_event() -> None:
    flow = Workflow("orders")
    arrived = flow.event("arrived", list[int])

    @flow.map(over=arrived, limit=Concurrency("scale", 2))
    def weigh(number: int) -> float:
        return number / 2

    @flow.map(over=weigh, after=arrived)
    def label(weight: float) -> str:
        return str(weight)

    steps = {step.id: step for step in flow.registration().steps}
    assert steps["weigh"].children == ChildrenDefinition(kind="map", over="arrived")
    assert steps["weigh"].limit is not None
    assert steps["label"].dependencies == ["weigh", "arrived"]


def test_a_call_is_given_the_item_its_number_and_the_input() -> None:
    found = given(orders(), "pack", {"lines": '{"sku":"tea"}'}, 17)
    assert found == {"line": Line(sku="tea"), "input": Order(), "index": 17}


def test_a_call_may_have_the_context_and_defaults() -> None:
    def pack(ctx: StepContext, line: Line, index: int, scale: str = "big") -> int:
        return index

    found = given(orders(pack), "pack", {"lines": '{"sku":"tea"}'}, 0)
    assert (found["line"], found["index"], "scale" in found) == (Line(sku="tea"), 0, False)


def test_of_a_dict_the_item_is_the_value_and_its_key_is_key() -> None:
    def pack(key: str, line: Line) -> int:
        return len(key)

    found = given(orders(pack, lines=dict[str, Line]), "pack", {"lines": '["ä",{"sku":"tea"}]'}, 3)
    assert found == {"key": "ä", "line": Line(sku="tea")}


def test_of_a_list_key_is_a_name_like_any_other() -> None:
    def load(key: str) -> int:
        return len(key)

    assert given(orders(load, lines=list[str]), "pack", {"lines": '"a/b"'}, 0) == {"key": "a/b"}


def test_an_item_that_does_not_fit_is_named() -> None:
    with pytest.raises(InputInvalidError, match=r"step 'pack': parameter 'line' of item 17.*sku"):
        given(orders(), "pack", {"lines": "{}"}, 17)


def test_without_an_item_it_is_not_called() -> None:
    with pytest.raises(InputInvalidError, match="given no item"):
        given(orders(), "pack", {"lines": "{}"})


@pytest.mark.parametrize("takes", [list[Packed], Sequence[Packed], tuple[Packed, ...], list[Packed] | None, None])
def test_others_receive_the_results_in_order(takes: Any) -> None:
    found = given(receiving(takes), "ship", {"pack": '[{"weight":1},{"weight":2}]'})["pack"]
    assert [getattr(each, "weight", None) or each["weight"] for each in found] == [1, 2]


@pytest.mark.parametrize(
    "takes", [list[Packed | ItemFailed], list[ItemFailed | Packed] | None, Results[Packed | ItemFailed]]
)
def test_in_the_place_of_an_item_that_failed_stands_why(takes: Any) -> None:
    flow = receiving(takes, tolerate=0.5)
    packed, failed = given(flow, "ship", {"pack": f'[{{"weight":1}},{FAILED}]'})["pack"]
    assert packed == Packed(weight=1)
    assert (failed.index, failed.run_id, failed.error.name) == (1, "r~pack~1", "ValueError")
    assert str(failed) == "item 1: ValueError: no stock"


@pytest.mark.parametrize("takes", [None, list, list[Any]])
def test_failures_are_told_to_who_takes_anything_too(takes: Any) -> None:
    failed = given(receiving(takes, tolerate=1), "ship", {"pack": f"[{FAILED}]"})["pack"][0]
    assert isinstance(failed, ItemFailed)


def test_what_failed_can_be_passed_on() -> None:
    flow = orders(tolerate=1)

    @flow.step
    def failed(pack: list[Packed | ItemFailed]) -> list[ItemFailed]:
        return [each for each in pack if isinstance(each, ItemFailed)]

    step = flow.definition().steps["failed"]
    found = failed(**given(flow, "failed", {"pack": f"[{FAILED}]"}))
    assert step.output.load(step.dump_output(found), "it") == found


def test_results_are_read_one_by_one() -> None:
    found = given(receiving(Results[Packed]), "ship", {"pack": '[{"weight":1},{"weight":"much"}]'})["pack"]
    assert isinstance(found, Results)
    assert (len(found), found[0]) == (2, Packed(weight=1))
    with pytest.raises(InputInvalidError, match=r"step 'ship': parameter 'pack'.*one of its results.*weight"):
        list(found)


def test_results_of_anything_are_what_json_holds() -> None:
    assert list(given(receiving(Results), "ship", {"pack": '[{"weight":1}, 7]'})["pack"]) == [{"weight": 1}, 7]


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"over": "line"}, "'line' is no step of this workflow: did you mean 'lines'?"),
        ({"over": 7}, 'over is 7: name the step whose list is gone over, as in over="lines"'),
        ({"concurrency": 0}, "concurrency is 0: give a whole number from 1 to 1,000"),
        ({"concurrency": True}, "concurrency is True"),
        ({"batch": 0}, "batch is 0: give a whole number from 1 to 1,000"),
        ({"batch": 2.5}, "batch is 2.5"),
        ({"tolerate": 1.01}, "tolerate is 1.01: give the share of the items that may fail, from 0 to 1"),
        ({"tolerate": -0.1}, "tolerate is -0.1"),
        ({"tolerate": float("nan")}, "tolerate is nan"),
        ({"tolerate": True}, "tolerate is True"),
        ({"tolerate": 5}, "tolerate is 5"),
        ({"timeout": 0}, "timeout is 0"),
        ({"export": 1}, "export is 1"),
        ({"over": "pack"}, "it goes over itself"),
    ],
)
def test_terms_that_make_no_sense_are_told_with_the_cure(terms: dict[str, Any], said: str) -> None:
    told = refused(orders(**terms))
    assert told.startswith("workflow 'orders', map 'pack': ")
    assert said in told


def test_all_mistakes_of_a_map_are_told_at_once() -> None:
    assert len(refused(orders(concurrency=0, batch=0, tolerate=2, timeout=0)).splitlines()) == 4


@pytest.mark.parametrize("lines", [str, int, Line, str | None])
def test_what_has_no_items_can_not_be_gone_over(lines: Any) -> None:
    told = refused(orders(lines=lines))
    assert "it goes over 'lines', which returns" in told
    assert "let it return a list or a dict" in told


@pytest.mark.parametrize("lines", [Any, tuple[Line, ...], set[str], dict[str, Line], list[Line] | None])
def test_all_that_may_have_items_can_be(lines: Any) -> None:
    def pack(item: Any) -> int:
        return 1

    assert orders(pack, lines=lines).definition()


def test_an_item_that_can_not_fit_is_a_mistake() -> None:
    told = refused(orders(lines=list[int]))
    assert "parameter 'line' takes Line, and the items of 'lines', which returns" in told
    assert "number is never object" in told
    assert "mend one" in refused(orders(lines=dict[str, int]))


def test_parameters_that_nothing_fills_are_mistakes() -> None:
    def none(input: Order, index: int) -> int:
        return index

    def two(line: Line, lin: Line) -> int:
        return 1

    def whole(lines: list[Line]) -> int:
        return 1

    def numbered(line: Line, index: dict[str, int]) -> int:
        return 1

    assert "none of its parameters gets the item: name one as no step is named" in refused(orders(none))
    assert "parameter 'lin' names no step, and 'line' gets the item already: did you mean 'lines'?" in refused(
        orders(two)
    )
    assert "parameter 'lines' names what the map goes over, of which a call gets one item" in refused(orders(whole))
    assert "gets the item's number and takes" in refused(orders(numbered))


def test_a_call_gets_no_other_steps_output() -> None:
    def pack(line: Line, rates: int) -> int:
        return rates

    flow = orders(pack)

    @flow.step
    def rates() -> int:
        return 1

    assert "parameter 'rates' names step 'rates', whose output a map's calls don't get" in refused(flow)


@pytest.mark.parametrize(
    ("takes", "terms", "said"),
    [
        (list[Packed], {"tolerate": 0.1}, "may fail (tolerate): make it a list[Packed | ItemFailed]"),
        (Results[Packed], {"tolerate": 0.1}, "make it a list[Packed | ItemFailed]"),
        (list[str], {}, "takes str of each item, and 'pack' returns Packed of each: object is never string"),
        (list[str | ItemFailed], {"tolerate": 0.1}, "object is never string"),
        (Packed, {}, "array is never object"),
        (dict[str, Packed], {}, "array is never object"),
    ],
)
def test_who_can_not_take_the_results_is_told(takes: Any, terms: dict[str, Any], said: str) -> None:
    told = refused(receiving(takes, **terms))
    assert "step 'ship': parameter 'pack' takes" in told
    assert said in told


def test_only_maps_give_results() -> None:
    flow = orders()

    @flow.step
    def ship(lines: Results[Line]) -> None: ...

    assert "takes Results, which only a map gives: make it a list" in refused(flow)


def test_whatever_of_its_terms_matters_makes_another_version() -> None:
    changed: list[dict[str, Any]] = [{}, {"concurrency": 2}, {"batch": 2}, {"tolerate": 0.5}, {"timeout": 5}]
    assert len({orders(**terms).definition().version_id for terms in changed}) == len(changed)
    assert orders().definition().version_id == orders(tolerate=0.0).definition().version_id


def test_what_steps_without_children_are_registered_as_has_not_changed() -> None:
    assert "children" not in orders().registration().to_wire()["steps"][0]


def test_the_function_stays_what_it_is() -> None:
    flow = Workflow("orders")

    @flow.map(over="lines")
    def pack(line: Line) -> int:
        return len(line.sku)

    assert pack(Line(sku="tea")) == 3
