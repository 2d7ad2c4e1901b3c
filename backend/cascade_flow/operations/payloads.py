"""Texts too long to ride in a branch: put aside before the event that names them, and fetched for who reads it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from cascade_flow.dynamodb import items, keys
from cascade_flow.dynamodb.codec import Record, deflate, inflate, references_of, zipped
from cascade_flow.dynamodb.table import Put, Table
from cascade_flow.errors import ConfigurationError, PayloadLostError, PayloadTooLargeError
from cascade_flow.model.events import WorkflowCompleted
from cascade_flow.offload import Bucket

INLINE_BYTES = 400
"""What a text may take up in an event, packed."""
OFFLOAD_BYTES = 32_000
"""What is larger, packed, goes to S3 where there is a bucket: an item of that size costs more than an object."""
LARGE_CHARACTERS = 1_000_000
"""What is longer goes there however well it packs: packing it as an item's content takes a second per 10 MB."""
LARGEST_ITEM_BYTES = 390_000
"""What a payload item may hold, packed: an item's 400 KB less its key."""
LARGEST_TEXT_BYTES = 50_000_000
"""What a text may have, unpacked."""
_IN_BUCKET = "s3:"
_FETCHES = 8
"""How many objects are read at a time: their texts are in memory together anyway."""


class Handed(NamedTuple):
    """A text for a reader elsewhere: itself, or its address where it lies in the bucket; or neither."""

    text: str | None = None
    address: str | None = None


class Payloads:
    """The payloads of the runs in one table, the largest of them in a bucket."""

    def __init__(self, table: Table, bucket: Bucket | None = None) -> None:
        self._table = table
        self._bucket = bucket

    @property
    def bucket_name(self) -> str:
        """Raises ConfigurationError where there is no bucket."""
        if self._bucket is None:
            raise ConfigurationError("there is no bucket, so every output lies in the table: name one, by bucket=")
        return self._bucket.name

    def put_aside(self, key: keys.Key, text: str | None, *, expires_s: int) -> dict[str, str]:
        """Store a text where it is too long to ride; answers {text: where it is}, or {}.

        Raises PayloadTooLargeError.
        """
        if text is None or len(text) <= INLINE_BYTES:
            return {}
        _check_length(text)
        if self._bucket is not None and len(text) > LARGE_CHARACTERS:
            return {text: _IN_BUCKET + self._bucket.put(zipped(text))}
        packed = deflate(text)
        if len(packed) <= INLINE_BYTES:
            return {}
        if self._bucket is not None and len(packed) > OFFLOAD_BYTES:
            return {text: _IN_BUCKET + self._bucket.put(zipped(text))}
        if len(packed) > LARGEST_ITEM_BYTES:
            raise PayloadTooLargeError(bytes=len(packed), limit=LARGEST_ITEM_BYTES)
        self._table.write([Put(items.payload_item(key, packed, expires_s=expires_s))])
        return {text: key.sk}

    def put_output(self, run_id: str, step_id: str, attempt: int, text: str, *, expires_s: int) -> dict[str, str]:
        """Put a step's output or checkpoint aside, under a key that no other attempt writes."""
        key = keys.payload(run_id, step_id, attempt, secrets.token_hex(4))
        return self.put_aside(key, text, expires_s=expires_s)

    def put_input(self, run_id: str, text: str | None, *, expires_s: int) -> dict[str, str]:
        """Put a run's input aside, under a key that no other submission writes."""
        return self.put_aside(keys.run_payload(run_id, f"input#{secrets.token_hex(4)}"), text, expires_s=expires_s)

    def put_run_output(self, run_id: str, end: WorkflowCompleted, *, expires_s: int) -> dict[str, str]:
        """Put the output of a run that ends aside."""
        return self.put_result(run_id, end.output, expires_s=expires_s)

    def put_result(self, run_id: str, text: str | None, *, expires_s: int) -> dict[str, str]:
        """Put what a run has given aside."""
        key = keys.run_payload(run_id, f"output#{secrets.token_hex(4)}")
        return self.put_aside(key, text, expires_s=expires_s)

    def whole(self, run_id: str, records: Sequence[Record]) -> list[Record]:
        """The records with every text that was put aside in its place again."""
        wanted = {sort for record in records for sort in references_of(record).values()}
        texts = self.texts(run_id, wanted)
        return [_filled(record, texts) for record in records]

    def handed_on(self, run_id: str, records: Mapping[str, Record], field: str) -> dict[str, Handed]:
        """A field of each of these records for readers elsewhere; nothing is read from the bucket."""
        places = {name: references_of(record).get(field) for name, record in records.items()}
        keys_there = {name: key for name, place in places.items() if place and (key := key_in_bucket(place))}
        texts = self.texts(run_id, {place for name, place in places.items() if place and name not in keys_there})
        return {
            name: Handed(address=self.address(keys_there[name]))
            if name in keys_there
            else Handed(text=texts[place] if (place := places[name]) else record.get(field))
            for name, record in records.items()
        }

    def texts(self, run_id: str, places: Set[str]) -> Mapping[str, str]:
        """The texts that were put aside at these places; those in the bucket are fetched side by side."""
        outside = sorted(place for place in places if place.startswith(_IN_BUCKET))
        found = self._table.batch_get(keys.payload_at(run_id, sort) for sort in sorted(places - set(outside)))
        texts = {str(item[keys.SORT]): items.to_payload(item) for item in found}
        if missing := places - set(outside) - texts.keys():
            raise PayloadLostError(f"run {run_id!r} has lost a payload ({', '.join(sorted(missing))}): run it anew")
        return texts | dict(zip(outside, self._all_fetched(outside), strict=True))

    def texts_at(self, places: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """The same of several runs: by run and place. In the bucket a place is the same whosever it is."""
        wanted = list(places)
        inside = {keys.payload_at(run_id, at): (run_id, at) for run_id, at in wanted if not at.startswith(_IN_BUCKET)}
        outside = [place for place in wanted if place not in inside.values()]
        read = {
            keys.Key(str(item[keys.PARTITION]), str(item[keys.SORT])): item for item in self._table.batch_get(inside)
        }
        if lost := inside.keys() - read.keys():
            raise PayloadLostError(f"{len(lost)} payloads are there no more ({min(lost).pk} is one's): run it anew")
        texts = {inside[key]: items.to_payload(item) for key, item in read.items()}
        return texts | dict(zip(outside, self._all_fetched([at for _, at in outside]), strict=True))

    def _all_fetched(self, places: Sequence[str]) -> list[str]:
        if len(places) < 2:
            return [self._fetched(place) for place in places]
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (few steps are given several large outputs)

        with ThreadPoolExecutor(min(_FETCHES, len(places)), "payload") as pool:
            return list(pool.map(self._fetched, places))

    def _fetched(self, place: str) -> str:
        return inflate(self._opened().get(place.removeprefix(_IN_BUCKET)))

    def _opened(self) -> Bucket:
        if self._bucket is None:
            raise ConfigurationError("a payload of this run lies in S3: name the bucket (CASCADE_BUCKET, or bucket=)")
        return self._bucket

    def address(self, key: str) -> str:
        """Where anybody may read an object of the bucket for a while."""
        return self._opened().address(key)

    def lend(self, text: str) -> str:
        """Put a text in the bucket for a reader elsewhere; answers its address. Raises ConfigurationError."""
        bucket = self._opened()
        return bucket.address(bucket.put(zipped(text)))

    def copy(self, source_run_id: str, target_run_id: str, place: str, *, expires_s: int) -> None:
        """Let another run have a payload under the same name."""
        if place.startswith(_IN_BUCKET):
            self._opened().renew(place.removeprefix(_IN_BUCKET))
        elif (source := self._table.get(keys.payload_at(source_run_id, place))) is not None:
            target = keys.payload_at(target_run_id, place)
            self._table.write([Put({**source, keys.PARTITION: target.pk, keys.EXPIRY: expires_s})])


def key_in_bucket(place: str) -> str | None:
    """The object's key where a text was put aside into the bucket; None where it lies in the table."""
    return place.removeprefix(_IN_BUCKET) if place.startswith(_IN_BUCKET) else None


def _check_length(text: str) -> None:
    if (length := len(text.encode())) > LARGEST_TEXT_BYTES:
        limit = f"the payload has {length:,} bytes, the limit is {LARGEST_TEXT_BYTES:,}"
        raise PayloadTooLargeError(f"{limit}: store it yourself, and give its place")


def _filled(record: Record, texts: Mapping[str, str]) -> Record:
    gaps: dict[str, Any] = {name: texts[sort] for name, sort in references_of(record).items()}
    return {**record, **gaps} if gaps else record
