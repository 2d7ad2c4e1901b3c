"""The dashboard and the alarms speak of metrics that are there, and each alarm rings when it should and only then."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pytest

import events
from cascade_flow import RetryTier, StepDefinition, UndoDefinition, WorkflowRegistration, clock
from cascade_flow.engine.commands import Complete
from cascade_flow.errors import StaleAttemptError
from cascade_flow.model.events import StepError
from cascade_flow.operations.steps import Slot, Steps
from cascade_flow.operations.worker_protocol import WorkerProtocol
from events.deployed import Functions, app
from events.emitted import Emitted
from infra.written import PARAMETERS, ROOT, chosen, of_type, properties

pytestmark = pytest.mark.servers("ministack")

OF_AWS: Mapping[str, tuple[str, frozenset[str]]] = {
    "AWS/DynamoDB": (
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html",
        frozenset({"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "WriteThrottleEvents"}),
    ),
    "AWS/Lambda": (
        "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html",
        frozenset(
            {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "RecursiveInvocationsDropped", "Throttles"}
        ),
    ),
    "AWS/SQS": (
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html",
        frozenset({"ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent"}),
    ),
    "AWS/ApiGateway": (
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html",
        frozenset({"5xx"}),
    ),
}
"""What AWS measures by itself, and where it says so."""
OURS = "cascade-flow"
SEARCHED = re.compile(r"SEARCH\('\{cascade-flow,service,(?:workflow|pool)\} .*MetricName=\"(\w+)\"")
ALARMS = sorted(of_type("AWS::CloudWatch::Alarm"))


def dashboard() -> list[dict[str, Any]]:
    """The widgets, as they are when CloudFormation has filled in what it knows."""
    body = properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    widgets: list[dict[str, Any]] = json.loads(re.sub(r"\$\{[\w.:]+\}", "x", body))["widgets"]
    return widgets


def shown() -> Iterator[tuple[str, str]]:
    """Namespace and name of every metric on the dashboard."""
    for widget in dashboard():
        for metric in widget["properties"].get("metrics", []):
            if isinstance(metric[0], str):
                yield metric[0], metric[1]
            elif found := SEARCHED.match(metric[0]["expression"]):
                yield OURS, found[1]


def watched() -> Iterator[tuple[str, str]]:
    for name in ALARMS:
        yield properties(name)["Namespace"], properties(name)["MetricName"]


class World:
    """The functions while everything happens that is measured."""

    def __init__(self, functions: Functions, captured: pytest.CaptureFixture[str]) -> None:
        self.functions = functions
        self._captured = captured
        self._captured.readouterr()

    def said(self) -> Emitted:
        """What was measured since this was last asked."""
        return Emitted(self._captured.readouterr().out)

    def reap(self, *, after_us: int, remaining_ms: int = 60_000) -> None:
        with clock.use(clock.SteppingClock(clock.now_us() + after_us)):
            app("reaper").handler(events.load("scheduler"), events.Context(remaining_ms=remaining_ms))

    def run(self, **body: Any) -> None:
        self.functions.submit(**body)
        self.functions.work()

    def lose(self, *, runs: int = 1, **body: Any) -> None:
        """Submit runs of which no wake-up arrives."""
        for _ in range(runs):
            self.functions.submit(**body)
        self.functions.lose_messages()

    def claim(self, run_id: str, step: str) -> None:
        wish = {"workerId": "mila", "runId": run_id, "stepId": step}
        assert self.functions.http("claim", events.post("/steps/claim", wish)).status == 200

    def retry(self) -> None:
        run_id, backend = self.functions.submit(), self.functions.backend
        self.claim(run_id, "weigh")
        backend.save_step_complete("parcels", run_id, "weigh", 1.0, duration_us=1, attempt_number=1)
        self.claim(run_id, "price/post")
        backend.save_step_failed(
            "parcels",
            run_id,
            "price/post",
            StepError(name="E", message="m"),
            duration_us=1,
            attempt_number=1,
            terminal=False,
            failure_reason="execution-error",
        )

    def come_too_late(self) -> None:
        runtime = self.functions.backend.runtime
        steps, run_id = Steps(runtime), self.functions.submit()
        self.functions.lose_messages()
        held = steps.claim_step(runtime.run(run_id), "weigh", "mila")
        assert held is not None
        self.reap(after_us=70_000_000)
        with pytest.raises(StaleAttemptError):
            steps.report(held, Complete("1.0", 1))

    def wait_for_a_pool(self) -> None:
        """A run whose step nobody may take but a worker of a pool."""
        steps = [StepDefinition(id="engrave", name="engrave", executor="laser")]
        self.functions.backend.register_workflow(WorkflowRegistration(slug="engraved", name="Engraved", steps=steps))
        self.functions.submit(workflowSlug="engraved", input="ada")

    def fail_to_undo(self) -> None:
        """A run that is cancelled when it has done something that can't be undone after all."""
        undo = UndoDefinition(id="unbook", name="unbook", retry=[RetryTier(max_attempts=1)])
        steps = [StepDefinition(id="book", name="book", undo=undo), StepDefinition(id="ride", name="ride")]
        backend = self.functions.backend
        backend.register_workflow(WorkflowRegistration(slug="trips", name="Trips", steps=steps))
        run_id = self.functions.submit(workflowSlug="trips")
        self.claim(run_id, "book")
        backend.save_step_complete("trips", run_id, "book", 7, duration_us=1, attempt_number=1)
        backend.cancel_run(run_id)
        self.functions.work()

    def break_one(self) -> None:
        """A run whose version is gone: no sweep can deal with it."""
        table = self.functions.backend.runtime.ledger.table
        run_id = self.functions.submit()
        self.functions.lose_messages()
        item = table.client.get_item(TableName=table.name, Key={"pk": {"S": f"R#{run_id}"}, "sk": {"S": "B#"}})["Item"]
        table.client.put_item(TableName=table.name, Item={**item, "v": {"S": "gone"}})
        self.reap(after_us=31_000_000)


@pytest.fixture
def world(functions: Functions, capsys: pytest.CaptureFixture[str]) -> World:
    return World(functions, capsys)


def everything(world: World) -> None:
    world.run()
    world.run(input={"weights": [1], "broken": True})
    world.run(input={"weights": [1], "insured": False})
    world.functions.http("submission", events.post(f"/runs/{world.functions.submit()}/cancel"))
    world.lose(timeoutUs=1_000_000)
    world.retry()
    world.come_too_late()
    world.lose(runs=2)
    world.reap(after_us=31_000_000, remaining_ms=0)
    world.fail_to_undo()
    world.break_one()
    world.wait_for_a_pool()
    world.reap(after_us=61_000_000)


class TestTheDashboard:
    def test_it_shows_what_is_measured_and_nothing_else(self, world: World) -> None:
        everything(world)
        emitted = {name for name, _ in world.said().values}
        named = {name for namespace, name in [*shown(), *watched()] if namespace == OURS}
        assert named == emitted

    def test_what_it_takes_from_aws_is_documented_there(self) -> None:
        taken = {each for each in [*shown(), *watched()] if each[0] != OURS}
        assert {namespace for namespace, _ in taken} == set(OF_AWS)
        assert taken == {(namespace, name) for namespace, (_, names) in OF_AWS.items() for name in names}

    def test_each_question_has_its_number(self) -> None:
        titles = [each["properties"].get("title", "") for each in dashboard()]
        questions = ("Is work flowing?", "Is it late?", "What fails?", "Who is unstable?", "What does it cost")
        assert all(any(title.startswith(question) for title in titles) for question in questions)
        large = [each for each in dashboard() if each["properties"].get("view") == "singleValue"]
        assert len(large) == 5
        assert {(each["y"], each["height"]) for each in large} == {(5, 4)}, "they stand in one line"

    def test_it_is_among_those_that_are_free(self) -> None:
        """An account's first three dashboards, where each has fifty metrics at the most."""
        metrics = [metric for each in dashboard() for metric in each["properties"].get("metrics", [])]
        assert len([metric for metric in metrics if isinstance(metric[0], str)]) <= 50

    def test_it_says_what_to_do(self) -> None:
        [text] = [each for each in dashboard() if each["type"] == "text"]
        assert "docs/operations.md" in text["properties"]["markdown"]

    def test_no_widget_hides_another(self) -> None:
        taken = [
            (x, y)
            for each in dashboard()
            for x in range(each["x"], each["x"] + each["width"])
            for y in range(each["y"], each["y"] + each["height"])
        ]
        assert len(taken) == len(set(taken))
        assert max(x for x, _ in taken) < 24

    def test_what_is_calculated_names_what_is_there(self) -> None:
        for each in dashboard():
            metrics = each["properties"].get("metrics", [])
            ids = {metric[-1]["id"] for metric in metrics if isinstance(metric[0], str) and "id" in metric[-1]}
            formulas = [metric[0]["expression"] for metric in metrics if isinstance(metric[0], dict)]
            used = {
                word for formula in formulas if "SEARCH" not in formula for word in re.findall(r"\b[a-z]\b", formula)
            }
            assert used <= ids
            assert len(ids) == len([m for m in metrics if isinstance(m[0], str) and "id" in m[-1]])


@dataclass(frozen=True)
class Alarm:
    """An alarm as CloudWatch evaluates it, with the template's own defaults; or with a threshold that is chosen, where
    there is no such alarm by default.
    """

    name: str
    chosen: float | None = None

    @property
    def threshold(self) -> float:
        written = properties(self.name)["Threshold"]
        if self.chosen is not None:
            return self.chosen
        return float(PARAMETERS[written["Ref"]]["Default"] if isinstance(written, dict) else written)

    def rings(self, values: Sequence[float]) -> bool:
        """Whether one period with these values is enough."""
        written = properties(self.name)
        assert written["EvaluationPeriods"] == 1
        if not values:
            return bool(written["TreatMissingData"] == "breaching")
        statistics: dict[str, Callable[[Sequence[float]], float]] = {"Maximum": max, "Sum": sum, "Average": fmean}
        value = statistics[written["Statistic"]](values)
        rings = {"GreaterThanThreshold": value > self.threshold, "LessThanThreshold": value < self.threshold}
        return rings[str(written["ComparisonOperator"])]

    def reads(self, emitted: Emitted) -> list[float]:
        """What it finds of its own metric."""
        return emitted.of(properties(self.name)["MetricName"])


MINUTELY = [1.0] * 5
OF_AWS_CASES: list[tuple[str, list[float], list[list[float]]]] = [
    ("DeadLettersAlarm", [0, 1], [[0], []]),
    ("WorkerErrorsAlarm", MINUTELY, [[1, 1, 1, 1], []]),
    ("RecursiveLoopAlarm", [1], [[0], []]),
    ("ReaperSilentAlarm", [], [MINUTELY, [1]]),
    ("ReaperFailingAlarm", [1, 1, 1], [[1, 1], []]),
    ("ReaperThrottledAlarm", [1], [[0], []]),
    ("TableThrottledAlarm", [60, 41], [[60, 40], []]),
    ("DueThrottledAlarm", [60, 41], [[60, 40], []]),
    ("RunsThrottledAlarm", [60, 41], [[60, 40], []]),
    ("ApiFailingAlarm", [1], [[0, 0], []]),
    ("TokenApiFailingAlarm", [1], [[0, 0], []]),
    ("CallbackApiFailingAlarm", [1], [[0, 0], []]),
]
"""What AWS would report when it is bad, and when it is not."""
OF_OURS = {"LateAlarm", "PoolLateAlarm", "FailureRateAlarm", "ReaperBehindAlarm"}


class TestTheAlarms:
    @pytest.mark.parametrize(
        ("name", "bad", "good"), OF_AWS_CASES, ids=lambda each: each if isinstance(each, str) else ""
    )
    def test_one_about_aws(self, name: str, bad: list[float], good: list[list[float]]) -> None:
        assert Alarm(name).rings(bad)
        assert not any(Alarm(name).rings(values) for values in good)

    def test_a_step_that_nobody_takes(self, world: World) -> None:
        alarm = Alarm("LateAlarm")
        world.run()
        world.reap(after_us=31_000_000)
        assert not alarm.rings(alarm.reads(world.said())), "all is done"
        world.lose()
        world.reap(after_us=60_000_000)
        assert not alarm.rings(alarm.reads(world.said())), "it is late, and was called out again"
        world.reap(after_us=1_000_000_000)
        assert alarm.rings(alarm.reads(world.said()))

    def test_a_step_that_no_worker_of_its_pool_takes(self, world: World) -> None:
        alarm, late = Alarm("PoolLateAlarm", chosen=3_600), Alarm("LateAlarm")
        world.wait_for_a_pool()
        world.reap(after_us=3_000_000_000)
        said = world.said()
        assert said.of("PoolWaitSeconds", pool="laser") == alarm.reads(said) == pytest.approx([3_000], abs=5)
        assert not alarm.rings(alarm.reads(said))
        world.reap(after_us=3_610_000_000)
        said = world.said()
        assert alarm.rings(alarm.reads(said))
        assert not late.rings(late.reads(said)), "it is no worker of Lambda's that is missing"
        assert WorkerProtocol(world.functions.backend.runtime).claim_next("mila", slot=Slot(), pool="laser")
        world.reap(after_us=1_000_000)
        assert not alarm.reads(world.said())

    def test_runs_that_fail(self, world: World) -> None:
        alarm = Alarm("FailureRateAlarm")
        world.run()
        world.run(input={"weights": [1], "broken": True})
        half = alarm.reads(world.said())
        assert not alarm.rings(half), "no more than half of them"
        world.run(input={"weights": [1], "broken": True})
        assert alarm.rings([*half, *alarm.reads(world.said())])
        assert not alarm.rings([]), "where nothing ends nothing fails"

    def test_a_reaper_that_has_too_much_to_do(self, world: World) -> None:
        alarm = Alarm("ReaperBehindAlarm")
        world.lose(runs=2)
        for _ in range(3):
            world.reap(after_us=31_000_000, remaining_ms=0)
        thrice = alarm.reads(world.said())
        assert not alarm.rings(thrice)
        world.reap(after_us=31_000_000, remaining_ms=0)
        assert alarm.rings([*thrice, *alarm.reads(world.said())])

    def test_each_is_tried_here(self) -> None:
        assert {name for name, _, _ in OF_AWS_CASES} | OF_OURS == set(ALARMS)

    @pytest.mark.parametrize("name", ALARMS)
    def test_it_looks_at_what_it_speaks_of(self, name: str) -> None:
        """Dimensions are those that the metric has: an alarm on any other never gets a value."""
        of = {
            "AWS/SQS": [["QueueName"]],
            "AWS/Lambda": [["FunctionName"]],
            "AWS/DynamoDB": [["TableName"], ["TableName", "GlobalSecondaryIndexName"]],
            "AWS/ApiGateway": [["ApiId"]],
            OURS: [["service"], ["service", "workflow"]],
        }
        written = properties(name)
        for dimensions in chosen(written["Dimensions"]):
            assert [each["Name"] for each in dimensions] in of[written["Namespace"]]

    def test_what_throttles_is_watched_each_by_itself(self) -> None:
        """A table's number leaves its indexes out, which hold it back."""
        indexes = {each["IndexName"] for each in properties("Table")["GlobalSecondaryIndexes"]}
        alarms = [properties(name) for name in ALARMS]
        throttled = [each["Dimensions"] for each in alarms if each["MetricName"] == "WriteThrottleEvents"]
        assert {each[-1]["Value"] for each in throttled if len(each) > 1} == indexes
        assert [each for each in throttled if len(each) == 1]

    def test_a_function_that_fails_is_noticed(self) -> None:
        """Behind an API by that, called by AWS by its own alarm, called by a deployment by whoever deploys."""
        integrated = of_type("AWS::ApiGatewayV2::Integration")
        behind = {properties(name)["IntegrationUri"]["Fn::GetAtt"][0] for name in integrated}
        failing = [properties(name)["Dimensions"] for name in ALARMS if properties(name)["MetricName"] == "Errors"]
        called = {each["Value"]["Ref"] for [each] in failing}
        deploying = {properties("Registration")["ServiceToken"]["Fn::GetAtt"][0]}
        assert behind | called | deploying == set(of_type("AWS::Serverless::Function"))

    def test_every_api_is_watched(self) -> None:
        failing = [properties(name)["Dimensions"] for name in ALARMS if properties(name)["MetricName"] == "5xx"]
        assert {each["Value"]["Ref"] for [each] in failing} == set(of_type("AWS::ApiGatewayV2::Api"))

    @pytest.mark.parametrize("name", ALARMS)
    def test_the_runbook_has_it(self, name: str) -> None:
        page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
        assert f"| `{name}` |" in page
