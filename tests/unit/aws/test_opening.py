"""Where a client asks and as whom: by the environment where it says all, as boto3 finds it elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade_flow.aws.opening import Limits, Name, lean, open_client
from cascade_flow.aws.service import Place
from cascade_flow.errors import ConfigurationError
from cascade_flow.signing import StaticKeys, digest
from unit.aws.misbehaving import answer, misbehaving

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


def test_an_object_that_lies_in_another_region_is_asked_of_boto3() -> None:
    class Boto3:
        def get_object(self, **request: str) -> dict[str, str]:
            return {"asked": request["Key"]}

    with misbehaving([answer(b"<Error><Code>PermanentRedirect</Code></Error>", 301)]) as (url, heard):
        client = lean(Place("s3", url, "eu-west-1", lambda: KEYS), Limits(5, 5, 2), rare=Boto3)
        assert client.get_object(Bucket="b", Key="payloads/a") == {"asked": "payloads/a"}
        client.close()
    assert heard.requests[0][0] == "GET /b/payloads/a HTTP/1.1"
    assert heard.requests[0][1]["x-amz-content-sha256"] == digest(b"")
