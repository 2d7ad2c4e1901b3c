"""Where a client asks and as whom: by the environment where it says all, as boto3 finds it elsewhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from gzip import compress
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cascade_flow.aws.opening import LIMITS, Limits, Name, lean, open_client
from cascade_flow.aws.service import Place
from cascade_flow.errors import ConfigurationError
from cascade_flow.signing import StaticKeys, digest
from unit.aws.misbehaving import answer, echoing, misbehaving

KEYS = StaticKeys("AKIDEXAMPLE", "secret")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing but keys: no region, no files."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


@pytest.mark.parametrize("service", ["dynamodb", "sqs", "s3"])
@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1", "ap-southeast-2"])
def test_the_address_is_the_one_that_boto3_has(service: Name, region: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_DEFAULT_REGION", region)
    theirs = open_client(service, transport="boto3")
    assert open_client(service).service.place.url == theirs.meta.endpoint_url
    theirs.close()


def test_an_address_that_is_named_counts(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_REGION", "eu-central-1")
    environment.setenv("AWS_ENDPOINT_URL", "http://all.invalid:1/")
    environment.setenv("AWS_ENDPOINT_URL_SQS", "http://queue.invalid:2")
    assert open_client("dynamodb").service.place.url == "http://all.invalid:1"
    assert open_client("sqs").service.place.url == "http://queue.invalid:2"


@pytest.mark.parametrize("transport", ["lean", "boto3"])
def test_where_two_regions_are_named_the_default_counts(transport: Any, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_REGION", "eu-west-1")
    environment.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    client = open_client("sqs", transport=transport)
    url = client.meta.endpoint_url if transport == "boto3" else client.service.place.url
    assert url == "https://sqs.eu-west-3.amazonaws.com"


@pytest.mark.parametrize(("service", "limits"), [("dynamodb", (2, 5, 3)), ("sqs", (3, 10, 4)), ("s3", (3, 30, 6))])
def test_each_service_is_waited_for_as_long_and_asked_as_often(
    service: Name, limits: tuple[float, float, int], environment: pytest.MonkeyPatch
) -> None:
    """The worker leaves time for that many tries of the table, and whoever is called over HTTP answers in time."""
    environment.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert LIMITS[service] == Limits(*limits)
    config = open_client(service, transport="boto3").meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == limits


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_an_unusual_address_is_the_one_that_boto3_has(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    usual = open_client("dynamodb").service.place.url
    environment.setenv(name, "true")
    theirs = open_client("dynamodb", transport="boto3").meta.endpoint_url
    assert open_client("dynamodb").service.place.url == theirs != usual


def test_a_profile_is_asked_of_boto3(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.setenv("AWS_PROFILE", "mine")
    (tmp_path / "config").write_text("[profile mine]\nregion=eu-west-3\n")
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id=AKIDMINE\naws_secret_access_key=s\n")
    place = open_client("dynamodb").service.place
    assert (place.url, place.keys().access_key) == ("https://dynamodb.eu-west-3.amazonaws.com", "AKIDMINE")


def test_without_a_region_there_is_no_client() -> None:
    with pytest.raises(ConfigurationError, match="AWS_DEFAULT_REGION"):
        open_client("dynamodb")


def test_keys_are_read_for_each_request(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    place = open_client("dynamodb").service.place
    environment.setenv("AWS_ACCESS_KEY_ID", "AKIDNEXT")
    assert place.keys().access_key == "AKIDNEXT"


@pytest.mark.parametrize(
    ("code", "status"),
    [("PermanentRedirect", 301), ("Found", 302), ("TemporaryRedirect", 307), ("AuthorizationHeaderMalformed", 400)],
)
def test_an_object_that_lies_in_another_region_is_asked_of_boto3(code: str, status: int) -> None:
    class Boto3:
        def get_object(self, **request: str) -> dict[str, str]:
            return {"asked": request["Key"]}

    with misbehaving([answer(f"<Error><Code>{code}</Code></Error>".encode(), status)]) as (url, heard):
        client = lean(Place("s3", url, "eu-west-1", lambda: KEYS), Limits(5, 5, 2), rare=Boto3)
        assert client.get_object(Bucket="b", Key="payloads/a") == {"asked": "payloads/a"}
        client.close()
    assert heard.requests[0][0] == "GET /b/payloads/a HTTP/1.1"
    assert heard.requests[0][1]["x-amz-content-sha256"] == digest(b"")


def test_an_object_is_stored_and_read_as_it_is_also_where_it_says_that_it_is_packed() -> None:
    packed = compress(b"{}")
    with misbehaving([answer(b""), answer(packed, Content_Encoding="gzip")]) as (url, heard):
        client = lean(Place("s3", url, "eu-west-1", lambda: KEYS), Limits(5, 5, 2), rare=pytest.fail)
        client.put_object(Bucket="b", Key="a", Body=packed, ContentType="application/json", ContentEncoding="gzip")
        assert client.get_object(Bucket="b", Key="a")["Body"].read() == packed
        address = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "a"}, ExpiresIn=9)
        assert address.startswith(f"{url}/b/a?X-Amz-Algorithm=")
        client.close()
    _, told, body = heard.requests[0]
    assert (told["content-type"], told["content-encoding"], body) == ("application/json", "gzip", packed)


@pytest.mark.parametrize("bucket", ["bucket", "a.bucket"])
def test_the_address_of_an_object_is_the_one_that_boto3_gives(environment: pytest.MonkeyPatch, bucket: str) -> None:
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    wish = {"Params": {"Bucket": bucket, "Key": "payloads/a"}, "ExpiresIn": 900}
    ours, theirs = (
        urlsplit(open_client("s3", transport=transport).generate_presigned_url("get_object", **wish))
        for transport in ("lean", "boto3")
    )
    assert ours[:3] == theirs[:3]
    assert parse_qs(ours.query).keys() == parse_qs(theirs.query).keys()


def test_boto3_is_opened_once_for_all_that_only_it_knows() -> None:
    class Boto3:
        opened = 0

        def __init__(self) -> None:
            Boto3.opened += 1

        def list_objects(self) -> int:
            return self.opened

    client = lean(Place("s3", "http://a.invalid", "eu-west-1", lambda: KEYS), Limits(5, 5, 1), rare=Boto3)
    assert [client.list_objects(), client.list_objects()] == [1, 1]


def test_an_address_of_a_private_link_is_taken_as_it_is() -> None:
    url = "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com"
    assert Place("s3", url, "us-east-1", lambda: KEYS).is_named
    assert not Place("s3", "https://s3.us-east-1.amazonaws.com", "us-east-1", lambda: KEYS).is_named


def test_threads_share_the_connections_that_are_kept() -> None:
    """As many as ask at once, and no more; each answer goes to whoever asked."""
    everybody, asked = Barrier(8), 24

    def get(client: Any, number: int) -> Any:
        if number < 8:
            everybody.wait()
        return client.get_item(TableName="t", Key={"n": {"N": str(number)}})["Item"]["n"]["N"]

    with echoing() as (url, heard), ThreadPoolExecutor(8) as threads:
        client = lean(Place("dynamodb", url, "eu-west-1", lambda: KEYS), Limits(5, 5, 1))
        assert list(threads.map(partial(get, client), range(asked))) == [str(number) for number in range(asked)]
        client.close()
    assert 1 <= heard.connections <= 8
