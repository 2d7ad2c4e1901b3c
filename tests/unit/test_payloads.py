"""Where a text is put aside: by what it takes up when it is packed."""

from __future__ import annotations

import secrets

import pytest

from cascade_flow import DynamoDBBackend
from cascade_flow.dynamodb.codec import deflate, zipped
from cascade_flow.errors import ConfigurationError, PayloadLostError, PayloadTooLargeError
from cascade_flow.offload import Bucket
from cascade_flow.operations.payloads import INLINE_BYTES, LARGEST_ITEM_BYTES, OFFLOAD_BYTES, Payloads
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


def test_a_long_text_goes_to_the_bucket_however_well_it_packs(
    backend: DynamoDBBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_flow.operations.payloads.LARGE_CHARACTERS", 9_999)
    payloads = Payloads(backend.runtime.ledger.table, Bucket("bucket", client=BucketClient()))
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
    with pytest.raises(PayloadTooLargeError):
        placed(payloads, text)


def test_what_two_give_for_a_run_lies_in_two_places(backend: DynamoDBBackend) -> None:
    payloads = Payloads(backend.runtime.ledger.table)
    texts = [packing_to(INLINE_BYTES) for _ in range(2)]
    places = [payloads.put_result("run", text, expires_s=2_000_000_000)[text] for text in texts]
    assert [payloads.texts("run", {place})[place] for place in places] == texts


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
