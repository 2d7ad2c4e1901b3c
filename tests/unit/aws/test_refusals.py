"""What AWS refuses, in each of the forms in which it says so, and what of botocore's errors becomes of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)

from cascade_flow.aws.clients import json_refusal, xml_refusal
from cascade_flow.aws.connections import Answered
from cascade_flow.aws.failures import Failure, NoCredentials, NoRegion, NoRequest, NotReached, ServiceError, asked


@pytest.mark.parametrize(
    ("said", "headers", "code"),
    [
        ({"__type": "com.amazonaws.dynamodb.v20120810#Refused"}, {}, "Refused"),
        ({"__type": "http://internal.amazon.com/coral/com.amazon.coral.validate#Refused"}, {}, "Refused"),
        ({"__type": "Refused:http://internal.amazon.com/coral/com.amazon.coral.validate/"}, {}, "Refused"),
        ({}, {"x-amzn-errortype": "Refused:http://internal.amazon.com/"}, "Refused"),
        ({"__type": "Refused"}, {"x-amzn-errortype": "Other"}, "Refused"),
        ({}, {}, "400"),
    ],
)
def test_a_code_is_its_name_alone(said: dict[str, str], headers: dict[str, str], code: str) -> None:
    assert json_refusal(Answered(400, headers, json.dumps(said).encode()), "GetItem").code == code


@pytest.mark.parametrize("name", ["message", "Message"])
def test_a_message_is_told_whichever_way_it_is_spelled(name: str) -> None:
    refused = json_refusal(Answered(400, {}, json.dumps({"__type": "Refused", name: "no"}).encode()), "GetItem")
    assert refused.response["Error"] == {"Code": "Refused", "Message": "no"}


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>", "NoSuchKey", "none"),
        (b"", "404", ""),
        (b"<Error><Code>NoSuchKey</Code><Message>\xff</Message></Error>", "NoSuchKey", "\ufffd"),
    ],
)
def test_a_refusal_of_s3_is_read_as_far_as_it_goes(body: bytes, code: str, message: str) -> None:
    assert xml_refusal(Answered(404, {}, body), "GetObject").response["Error"] == {"Code": code, "Message": message}


def test_a_refusal_without_a_status_is_the_askers_fault() -> None:
    assert ServiceError({"Error": {"Code": "Refused"}}, "GetItem").status == 400


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (NoCredentialsError(), NoCredentials),
        (PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), NoCredentials),
        (NoRegionError(), NoRegion),
        (ParamValidationError(report="no such argument"), NoRequest),
        (EndpointConnectionError(endpoint_url="http://a.invalid"), NotReached),
    ],
)
def test_what_botocore_raises_has_one_name_here(theirs: Any, ours: type[Failure]) -> None:
    def send() -> None:
        raise theirs

    with pytest.raises(ours):
        asked(send)
