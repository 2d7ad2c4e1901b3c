"""`--stack`: the API's address is an output of the stack, asked for with the caller's credentials."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cascade_flow.cli import exits
from cascade_flow.cli.app import run
from unit.cli import documents
from unit.cli.conftest import Api

FOUND = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
<Stacks><member><StackName>prod</StackName><CreationTime>2026-11-22T00:00:00Z</CreationTime>
<StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{outputs}</Outputs></member></Stacks>
</DescribeStacksResult></DescribeStacksResponse>"""
OUTPUT = "<member><OutputKey>ApiUrl</OutputKey><OutputValue>{url}</OutputValue></member>"
MISSING = """<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
<Code>ValidationError</Code><Message>Stack with id prod does not exist</Message></Error></ErrorResponse>"""
RUNS = ["runs", "--stack", "prod"]


@pytest.fixture(autouse=True)
def aws(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS account, as the SDK's own settings say; the API stands in for CloudFormation too."""
    settings = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": api.url,
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def test_a_stack_is_found_by_its_name(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.routes["POST /"] = (200, FOUND.format(outputs=OUTPUT.format(url=api.url)))
    assert run(RUNS) == exits.OK
    assert documents.DONE["run"]["runId"] in capsys.readouterr().out
    assert "StackName=prod" in api.asked[0][1]


def test_a_program_is_told_where_the_table_is(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = OUTPUT.format(url=api.url) + OUTPUT.format(url="it's").replace("ApiUrl", "TableName")
    lease = "<member><ParameterKey>LeaseMs</ParameterKey><ParameterValue>9000</ParameterValue></member>"
    found = FOUND.format(outputs=outputs).replace("</Outputs>", f"</Outputs><Parameters>{lease}</Parameters>")
    api.routes["POST /"] = (200, found)
    assert run(["env", "--stack", "prod"]) == exits.OK
    variables = dict(shlex.split(line)[1].split("=") for line in capsys.readouterr().out.splitlines())
    assert variables == {"CASCADE_TABLE": "it's", "CASCADE_LEASE_MS": "9000", "AWS_DEFAULT_REGION": "eu-central-1"}
    assert run(["env", "--stack", "prod", "--json"]) == exits.OK
    assert json.loads(capsys.readouterr().out) == variables


@pytest.mark.parametrize("named", [["--env", "live"], ["--stack", "prod"]])
def test_what_the_project_says_of_a_stack_is_known_to_every_verb(
    api: Api, capsys: pytest.CaptureFixture[str], declared: Path, named: list[str]
) -> None:
    """Its name, its region, and whose it is."""
    api.routes["POST /"] = (200, FOUND.format(outputs=OUTPUT.format(url=api.url)))
    assert run(["env", *named, "--json"]) == exits.OK
    assert json.loads(capsys.readouterr().out) == {"AWS_DEFAULT_REGION": "eu-west-3", "AWS_PROFILE": "work"}
    assert run(["runs", *named, "--region", "eu-west-1"]) == exits.OK
    assert "StackName=prod" in api.asked[1][1]
    (declared / "credentials").unlink()
    assert run(["runs", *named]) == exits.WRONG_USE
    assert "(work) could not be found: name one that is there in cascade.toml" in capsys.readouterr().err


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(("env", "said"), [("local", "leave --env out"), ("nope", "has no environment 'nope'")])
def test_an_environment_that_is_none_in_aws_is_refused(capsys: pytest.CaptureFixture[str], env: str, said: str) -> None:
    assert run(["runs", "--env", env]) == exits.WRONG_USE
    assert said in capsys.readouterr().err


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that says of one of its stacks where it is, and whose."""
    text = 'stack = "flows"\npackage = "flows"\n[env.live]\nstack = "prod"\nregion = "eu-west-3"\nprofile = "work"\n'
    (tmp_path / "cascade.toml").write_text(text, encoding="utf-8")
    keys = "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = secret\n"
    (tmp_path / "credentials").write_text(keys, encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_address_says_nothing_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["env", "--url", "http://127.0.0.1:9"]) == exits.WRONG_USE
    assert "--stack" in capsys.readouterr().err


def test_what_is_named_next_names_the_stack_too(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.routes["POST /"] = (200, FOUND.format(outputs=OUTPUT.format(url=api.url)))
    assert run(["run", "mishaps", "--stack", "prod"]) == exits.OK
    assert "--watch --stack prod" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, MISSING), "Stack with id prod does not exist"),
        ((200, FOUND.format(outputs="")), "has no output ApiUrl"),
    ],
)
def test_what_is_no_stack_of_ours_is_told(
    api: Api, capsys: pytest.CaptureFixture[str], answer: tuple[int, str], said: str
) -> None:
    api.routes["POST /"] = answer
    assert run(RUNS) == exits.WRONG_USE
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_profile_that_is_not_there_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "typo")
    assert run(RUNS) == exits.WRONG_USE
    assert "typo" in capsys.readouterr().err


def test_an_aws_that_is_away_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert run(RUNS) == exits.UNAVAILABLE
    assert "AWS can't be reached" in capsys.readouterr().err
