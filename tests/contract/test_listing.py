"""Pages of runs: right at every edge, without what has expired, and no dearer than they are deep."""

from __future__ import annotations

import pytest

from cascade_flow import DynamoDBBackend
from cascade_flow.dynamodb import keys, listing
from cascade_flow.operations.runs import Runs
from contract.outside import FLOW, register, submit
from simulation import TIMING, TickingClock
from testbed.meter import meter
from testbed.servers import Store

RUNS = 24


@pytest.fixture
def ids(backend: DynamoDBBackend) -> list[str]:
    """The ids of many runs of one workflow, newest first; each shard of the index has some."""
    register(backend)
    ids = [submit(backend, run_id=f"run-{number}", tags=[f"t{number % 3}"]) for number in range(RUNS)]
    assert {keys.runs(FLOW, run_id) for run_id in ids} == set(keys.runs_shards(FLOW, keys.written()))
    assert backend.list_run_ids(FLOW) == ids[::-1], "from here on this process knows how many shards there are"
    return ids[::-1]


@pytest.mark.servers("all")
def test_pages_of_any_size_make_the_whole(backend: DynamoDBBackend, ids: list[str]) -> None:
    for size in (1, 7, RUNS, RUNS + 1):
        pages = [backend.list_runs(workflow_slug=FLOW, limit=size, offset=start) for start in range(0, RUNS, size)]
        assert [run.run_id for page in pages for run in page.runs] == ids
        assert {page.total for page in pages} == {RUNS}
    filtered = backend.list_runs(tags=["t0"], limit=3, offset=2)
    assert [run.run_id for run in filtered.runs] == [id for id in ids if int(id[4:]) % 3 == 0][2:5]
    assert filtered.total == RUNS / 3


def test_each_status_is_counted_in_one_look_whichever_is_filtered(
    backend: DynamoDBBackend, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ids[:5]:
        backend.cancel_run(run_id)
    runs, only = Runs(backend.runtime), listing.Filter(status=("cancelled",), tags=("t0",))
    assert runs.tally(FLOW, only) == listing.Tally({"cancelled": 1, "running": 7}, is_exact=True)
    monkeypatch.setattr(listing, "MOST_COUNTED", 10)
    assert runs.tally(None, listing.EVERY) == listing.Tally({"cancelled": 5, "running": 5}, is_exact=False)


def test_what_is_counted_is_what_the_filter_lets_pass(backend: DynamoDBBackend, ids: list[str]) -> None:
    for run_id in ids[:5]:
        backend.cancel_run(run_id)
    counted = {
        listing.EVERY: RUNS,
        listing.Filter(tags=("t0",)): RUNS // 3,
        listing.Filter(status=("cancelled",)): 5,
        listing.Filter(status=("cancelled",), tags=("t0",)): 1,
    }
    for wanted, number in counted.items():
        assert Runs(backend.runtime).count(FLOW, wanted) == listing.Count(number, is_exact=True)


@pytest.mark.servers("all")
def test_what_has_expired_is_not_listed(dynamodb: Store, time: TickingClock) -> None:
    backend = DynamoDBBackend(dynamodb.table, client=dynamodb.product, timing=TIMING)
    register(backend)
    submit(backend, run_id="old")
    time.pause_us(TIMING.timeout_us + TIMING.retention_us)
    submit(backend, run_id="new")
    for page in (backend.list_runs(limit=5), backend.list_runs(), backend.list_runs(status=["running"])):
        assert ([run.run_id for run in page.runs], page.total) == (["new"], 1)
    assert backend.list_run_ids(FLOW) == ["new"]


@pytest.mark.servers("ministack")
def test_a_page_is_one_request_for_each_shard_and_one_for_its_runs(
    backend: DynamoDBBackend, dynamodb: Store, ids: list[str]
) -> None:
    with meter(dynamodb.product, dynamodb.table) as counted:
        page = backend.list_runs(workflow_slug=FLOW, limit=5)
    assert [run.run_id for run in page.runs] == ids[:5]
    reads = [line for line in counted.lines if not line.counts]
    assert [line.operation for line in reads] == ["Query"] * keys.RUNS_SHARDS + ["BatchGetItem"]
    assert len(counted.lines) - len(reads) == keys.RUNS_SHARDS


@pytest.mark.servers("ministack")
def test_a_filter_reads_the_index_once(backend: DynamoDBBackend, dynamodb: Store, ids: list[str]) -> None:
    with meter(dynamodb.product, dynamodb.table) as counted:
        backend.list_runs(workflow_slug=FLOW, tags=["t1"], limit=5)
    assert [line.operation for line in counted.lines] == ["Query"] * keys.RUNS_SHARDS + ["BatchGetItem"]
