"""Where a text is put aside: by what it takes up when it is packed."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cascade_flow import DynamoDBBackend
from cascade_flow.dynamodb import keys
from cascade_flow.dynamodb.codec import Record, deflate, zipped
from cascade_flow.dynamodb.table import Table
from cascade_flow.errors import ConfigurationError, PayloadLostError, PayloadTooLargeError
from cascade_flow.offload import Bucket
from cascade_flow.operations.payloads import INLINE_BYTES, LARGEST_ITEM_BYTES, OFFLOAD_BYTES, Handed, Payloads
from cascade_flow.testing.memory.bucket_client import BucketClient


def packing_to(size: int) -> str:
    """A text of random digits, trimmed until it packs to this size at the most, and above that with one more."""
    text = secrets.token_hex(size)
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(deflate(text[:middle])) <= size else (low, middle)
    return text[:high]


def placed(payloads: Payloads, text: str) -> str:
    """Where it is put aside; nothing where it rides."""
    return payloads.put_output("run", "s", 1, text, expires_s=2_000_000_000).get(text, "")


def test_a_text_goes_where_its_packed_size_belongs(backend: DynamoDBBackend) -> None:
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
    assert placed(payloads, "x" * 10_000) == ""
    assert placed(payloads, packing_to(INLINE_BYTES)[:-40]) == ""
    assert placed(payloads, packing_to(INLINE_BYTES)).startswith("P#s#1#")
    assert placed(payloads, packing_to(INLINE_BYTES) + "x" * 2 * OFFLOAD_BYTES).startswith("P#s#1#")
    assert placed(payloads, packing_to(OFFLOAD_BYTES)[:-40]).startswith("P#s#1#")
    assert placed(payloads, packing_to(OFFLOAD_BYTES)).startswith("s3:payloads/")


def test_a_text_of_as_many_characters_as_may_ride_rides_however_badly_it_packs(backend: DynamoDBBackend) -> None:
    payloads, signs = Payloads(backend.runtime.ledger.table), range(0x4E00, 0x9FFF)
    text = "".join(map(chr, random.Random(1).choices(signs, k=INLINE_BYTES)))
    assert placed(payloads, text) == ""
    assert placed(payloads, text + "x").startswith("P#s#1#")
    assert payloads.put_input("run", None, expires_s=2_000_000_000) == {}


def test_what_is_as_large_as_an_item_may_be_where_there_is_a_bucket_is_one(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
    text = packing_to(2 * INLINE_BYTES)
    for limit, place in ((len(deflate(text)), "P#s#1#"), (len(deflate(text)) - 1, "s3:payloads/")):
        monkeypatch.setattr("cascade_flow.operations.payloads.OFFLOAD_BYTES", limit)
        assert placed(payloads, text).startswith(place)


def test_a_reader_elsewhere_is_handed_texts_and_of_what_lies_in_the_bucket_addresses(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
    near, far = packing_to(INLINE_BYTES), packing_to(OFFLOAD_BYTES)
    records: dict[str, Record] = {
        "short": {"output": "1", "input": "2"},
        "near": {"output": {"$ref": placed(payloads, near)}, "input": "2"},
        "far": {"output": {"$ref": placed(payloads, far)}, "input": "2"},
        "nothing": {"input": "2"},
    }
    monkeypatch.setattr(Bucket, "get", None)
    found = payloads.handed_on("run", records, "output")
    assert list(found) == ["short", "near", "far", "nothing"]
    key = records["far"]["output"]["$ref"].removeprefix("s3:")
    address = found.pop("far").address or ""
    assert address.startswith(f"memory://bucket/{key}?")
    assert found == {"short": Handed("1"), "near": Handed(near), "nothing": Handed()}
    assert payloads.handed_on("run", {"far": records["far"]}, "input") == {"far": Handed("2")}


def test_a_long_text_goes_to_the_bucket_however_well_it_packs(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.payloads.LARGE_CHARACTERS", 9_999)
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
    assert placed(payloads, "x" * 9_999) == ""
    assert placed(payloads, "x" * 10_000).startswith("s3:payloads/")


def test_the_limit_counts_bytes(backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cascade_flow.operations.payloads.LARGEST_TEXT_BYTES", 2_000)
    payloads = Payloads(backend.runtime.ledger.table)
    assert placed(payloads, "e" * 2_000) == ""
    with pytest.raises(PayloadTooLargeError, match="2,002 bytes"):
        placed(payloads, "é" * 1_001)


def test_what_just_fits_an_item_is_put_there(backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    payloads, text = Payloads(backend.runtime.ledger.table), packing_to(2 * INLINE_BYTES)
    monkeypatch.setattr("cascade_flow.operations.payloads.LARGEST_ITEM_BYTES", len(deflate(text)))
    assert placed(payloads, text).startswith("P#s#1#")
    monkeypatch.setattr("cascade_flow.operations.payloads.LARGEST_ITEM_BYTES", len(deflate(text)) - 1)
    with pytest.raises(PayloadTooLargeError) as caught:
        placed(payloads, text)
    assert caught.value.facts == {"bytes": len(deflate(text)), "limit": len(deflate(text)) - 1}


def test_what_takes_up_as_much_as_may_ride_rides(backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x" * 10_000
    monkeypatch.setattr("cascade_flow.operations.payloads.INLINE_BYTES", len(deflate(text)))
    assert placed(Payloads(backend.runtime.ledger.table), text) == ""


def test_the_texts_of_several_runs_are_found_wherever_they_lie(backend: DynamoDBBackend) -> None:
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
    texts = [packing_to(size) for size in (INLINE_BYTES, INLINE_BYTES, OFFLOAD_BYTES, OFFLOAD_BYTES)]
    given = {
        (f"run-{number}", payloads.put_result(f"run-{number}", text, expires_s=2_000_000_000)[text]): text
        for number, text in enumerate(texts)
    }
    assert payloads.texts_at(given) == given


def test_of_the_texts_of_several_runs_those_that_are_gone_are_counted(backend: DynamoDBBackend) -> None:
    payloads, text = Payloads(backend.runtime.ledger.table), packing_to(INLINE_BYTES)
    place = payloads.put_result("run", text, expires_s=2_000_000_000)[text]
    with pytest.raises(PayloadLostError, match=r"^1 payloads .*run-2.* run it anew"):
        payloads.texts_at([("run", place), ("run-2", place)])


@pytest.mark.parametrize(("places", "at_once"), [(2, 2), (20, 8)])
def test_objects_are_fetched_side_by_side_a_few_at_a_time(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch, places: int, at_once: int
) -> None:
    payloads, widths = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient())), list[int]()
    place = placed(payloads, packing_to(OFFLOAD_BYTES))

    def opened(width: int, name: str) -> ThreadPoolExecutor:
        widths.append(width)
        return ThreadPoolExecutor(width, name)

    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor", opened)
    payloads.texts_at([(f"run-{number}", place) for number in range(places)])
    assert widths == [at_once]


def test_what_is_lent_is_read_at_the_address_that_is_answered(backend: DynamoDBBackend) -> None:
    client = BucketClient()
    address = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=client)).lend("text")
    [(_, key)] = client.objects
    assert f"bucket/{key}" in address
    assert client.objects["bucket", key] == zipped("text")


def test_who_has_no_bucket_is_told_to_name_it(backend: DynamoDBBackend) -> None:
    with pytest.raises(ConfigurationError, match="name the bucket"):
        Payloads(backend.runtime.ledger.table).texts("run", {"s3:payloads/any"})


@pytest.mark.parametrize("what", ["a result", "an input", "an output"])
def test_what_two_give_for_a_run_lies_in_two_places(backend: DynamoDBBackend, what: str) -> None:
    payloads = Payloads(backend.runtime.ledger.table)
    put = {
        "a result": payloads.put_result,
        "an input": payloads.put_input,
        "an output": lambda run_id, text, **options: payloads.put_output(run_id, "s", 1, text, **options),
    }[what]
    texts = [packing_to(INLINE_BYTES) for _ in range(2)]
    places = [put("run", text, expires_s=2_000_000_000)[text] for text in texts]
    assert [payloads.texts("run", {place})[place] for place in places] == texts
    table = backend.runtime.ledger.table
    assert {table.get(keys.payload_at("run", place))[keys.EXPIRY] for place in places} == {2_000_000_000}  # type: ignore[index]


def test_every_text_of_every_record_is_put_in_its_place_again(backend: DynamoDBBackend) -> None:
    payloads = Payloads(backend.runtime.ledger.table)
    texts = [packing_to(INLINE_BYTES) for _ in range(3)]
    first, second, third = ({"$ref": placed(payloads, text)} for text in texts)
    records: list[Record] = [{"input": first, "output": second}, {"output": "1"}, {"data": third, "n": 1}]
    assert payloads.whole("run", records) == [
        {"input": texts[0], "output": texts[1]},
        {"output": "1"},
        {"data": texts[2], "n": 1},
    ]


def test_what_lies_in_the_bucket_is_not_asked_of_the_table(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads, asked = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient())), list[keys.Key]()
    near, far = packing_to(INLINE_BYTES), packing_to(OFFLOAD_BYTES)
    at = {placed(payloads, text): text for text in (near, far)}
    read = Table.batch_get

    def noted(table: Table, wanted: Iterable[keys.Key]) -> object:
        asked.extend(found := list(wanted))
        return read(table, found)

    monkeypatch.setattr(Table, "batch_get", noted)
    assert payloads.texts("run", set(at)) == at
    assert payloads.texts_at([("run", place) for place in at]) == {("run", place): text for place, text in at.items()}
    assert asked == [keys.payload_at("run", place) for place in at if place.startswith("P#")] * 2


def test_a_payload_that_is_gone_from_the_table_is_named(backend: DynamoDBBackend) -> None:
    with pytest.raises(PayloadLostError, match="P#a#1#gone"):
        Payloads(backend.runtime.ledger.table).texts("run", {"P#a#1#gone"})


def test_what_several_runs_have_put_aside_is_read_wherever_it_lies(backend: DynamoDBBackend) -> None:
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
    near, far = packing_to(INLINE_BYTES), packing_to(OFFLOAD_BYTES)
    wanted = {("run", placed(payloads, near)): near, ("run", placed(payloads, far)): far}
    assert payloads.texts_at(wanted) == wanted
    elsewhere = {("other", place): text for (_, place), text in wanted.items() if text == far}
    assert payloads.texts_at([*wanted, *elsewhere]) == {**wanted, **elsewhere}
    with pytest.raises(PayloadLostError, match="2 payloads are there no more"):
        payloads.texts_at([*wanted, ("run", "P#a#1#gone"), ("other", "P#a#1#gone")])


def test_what_is_lent_lies_in_the_bucket(backend: DynamoDBBackend) -> None:
    client = BucketClient()
    address = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=client)).lend("text")
    [(bucket, key)] = client.objects
    assert address.startswith(f"memory://{bucket}/{key}?")
    with pytest.raises(ConfigurationError, match="name the bucket"):
        Payloads(backend.runtime.ledger.table).lend("text")


def test_the_same_text_is_the_same_file_whenever_it_is_packed() -> None:
    assert zipped("text")[4:8] == bytes(4), "the time in the file's head"


def test_an_object_that_another_run_is_given_is_kept_for_longer(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
    place, renewed = placed(payloads, packing_to(OFFLOAD_BYTES)), list[str]()
    monkeypatch.setattr(Bucket, "renew", lambda _, key: renewed.append(key))
    payloads.copy("run", "other", place, expires_s=2_000_000_000)
    assert renewed == [place.removeprefix("s3:")]


def test_what_no_item_holds_is_refused_where_there_is_no_bucket(backend: DynamoDBBackend) -> None:
    payloads = Payloads(backend.runtime.ledger.table)
    assert placed(payloads, packing_to(OFFLOAD_BYTES)).startswith("P#s#1#")
    with pytest.raises(PayloadTooLargeError):
        placed(payloads, secrets.token_hex(LARGEST_ITEM_BYTES + 1_000))
