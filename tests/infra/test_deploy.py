"""`cascade deploy` and `cascade dev`, as they are typed; the cloud is an emulator that the environment names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cascade_flow.cli import exits
from cascade_flow.cli.app import run
from cascade_flow.local import REGION, LocalStack, Project, artifacts, cloud, cloud_build
from cascade_flow.local.artifacts import Artifact
from cascade_flow.local.cloud_build import Made
from cascade_flow.local.deployment import client
from infra.test_local_stack import until
from infra.thin import WORKFLOWS, Orders, declare, flows

BACKEND = Path(__file__).parents[2] / "backend"
CLOUD = '\n[env.cloud]\nstack = "cloud"\nplatform = "host"\n'
NOBODY = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
GIVEN = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")


def deploy(*options: str) -> int:
    return run(["deploy", "--env", "cloud", *options])


def status(stack: LocalStack) -> str | None:
    try:
        found = client(stack, "cloudformation").describe_stacks(StackName="cloud")["Stacks"][0]["StackStatus"]
    except ClientError:
        return None
    return None if found == "DELETE_COMPLETE" else str(found)


@pytest.fixture
def orders(project: Project) -> Orders:
    declare(project, WORKFLOWS)
    return Orders.given(project.root)


@pytest.fixture
def aws(project: Project, orders: Orders, stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    """The emulator of the project's own stack, as another AWS that the user's variables name."""
    written = project.root / "cascade.toml"
    before = written.read_text(encoding="utf-8")
    written.write_text(before + CLOUD, encoding="utf-8")
    given = (stack.access_key, stack.secret_key, stack.endpoint_url, REGION)
    for name, value in zip(GIVEN, given, strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)
    yield stack
    written.write_text(before, encoding="utf-8")


@pytest.fixture
def empty(aws: LocalStack) -> LocalStack:
    """The same, where the stack isn't deployed yet."""
    formation = client(aws, "cloudformation")
    formation.delete_stack(StackName="cloud")
    until(lambda: status(aws) is None)
    return aws


class TestDeploy:
    def test_a_first_time_a_second_time_and_after_a_change(
        self, empty: LocalStack, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert deploy("--yes") == exits.OK
        out, _ = capsys.readouterr()
        assert "+ add   AWS::DynamoDB::Table" in out
        assert "cascade run one --watch --stack cloud --region us-east-1" in out
        assert deploy("--json") == exits.OK
        same = json.loads(capsys.readouterr().out)
        assert (same["stack"], same["changes"], same["outputs"]["RegisteredWorkflows"]) == ("cloud", 0, "one")
        assert deploy() == exits.OK
        assert "The stack cloud has nothing to change." in capsys.readouterr().out
        declare(project, flows("one", "two"))
        assert deploy("--yes", "--json") == exits.OK
        changed = json.loads(capsys.readouterr().out)
        assert changed["changes"] > 0
        assert changed["outputs"] == {**same["outputs"], "RegisteredWorkflows": "one,two"}

    def test_the_bucket_is_private_and_encrypted(self, aws: LocalStack) -> None:
        bucket, name = client(aws, "s3"), f"cascade-artifacts-000000000000-{REGION}"
        block = bucket.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        assert set(block.values()) == {True}
        [rule] = bucket.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}

    def test_a_bucket_that_is_named_must_be_there(
        self, aws: LocalStack, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with (project.root / "cascade.toml").open("a") as config:
            config.write('artifacts_bucket = "nobodys"\n')
        assert deploy("--yes") == exits.WRONG_USE
        assert "There is no bucket 'nobodys'" in capsys.readouterr().err

    def test_nothing_is_done_unless_somebody_says_yes(
        self, empty: LocalStack, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert deploy() == exits.WRONG_USE
        out, err = capsys.readouterr()
        assert "AWS::SQS::Queue" in out
        assert err.strip().endswith("Say so before: cascade deploy --yes")
        until(lambda: status(empty) is None)

    def test_a_first_deployment_that_fails_says_why_and_the_next_goes_on(
        self, empty: LocalStack, orders: Orders, capsys: pytest.CaptureFixture[str]
    ) -> None:
        orders.fail(times=1)
        assert deploy("--yes") == exits.WRONG_USE
        out, err = capsys.readouterr()
        assert "✗ Registration: its function failed: out of breath" in out
        assert err == "error: The deployment failed: Registration: its function failed: out of breath\n"
        assert status(empty) == "ROLLBACK_COMPLETE"
        assert deploy("--yes") == exits.OK

    def test_what_would_part_it_from_its_runs_is_refused(
        self, aws: LocalStack, project: Project, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert deploy("--yes") == exits.OK
        written = project.template.read_text(encoding="utf-8")
        project.template.write_text(written.replace("BillingMode:", "TableName: another\n      BillingMode:", 1))
        try:
            capsys.readouterr()
            assert deploy("--yes") == exits.WRONG_USE
        finally:
            project.template.write_text(written)
        out, err = capsys.readouterr()
        first = next(line for line in out.splitlines() if line[:1] in ("+", "~", "-"))
        assert first.split() == ["~", "modify", "AWS::DynamoDB::Table", "replaced", "Table"]
        assert "This would replace or remove Table" in err
        assert "cascade deploy --replace-data" in err
        assert status(aws) in ("CREATE_COMPLETE", "UPDATE_COMPLETE")

    def test_who_is_asked_hears_of_runs_that_would_fail(
        self, aws: LocalStack, project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert deploy("--yes") == exits.OK
        declare(project, flows("one", "five"))
        run = {"runId": "r1", "workflowSlug": "one", "stepIds": ["gone"]}
        effect = {"unaffected": 2, "changed": 1, "broken": [run]}
        asked: list[str] = []
        monkeypatch.setattr("cascade_flow.cli.preflight.effect_of", lambda *_: effect)
        monkeypatch.setattr("rich.console.Console.is_terminal", True)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("typer.confirm", asked.append)
        capsys.readouterr()
        assert deploy() == exits.WRONG_USE
        out, err = capsys.readouterr()
        assert "they would fail with step-removed" in out
        assert asked == ["Deploy this, and let 1 run fail?"]
        assert "Nothing was changed." in err
        assert status(aws) in ("CREATE_COMPLETE", "UPDATE_COMPLETE")

    def test_who_stops_following_stops_nothing(self, aws: LocalStack, project: Project, orders: Orders) -> None:
        assert deploy("--yes") == exits.OK
        declare(project, flows("one", "three"))
        seen = orders.calls()
        with orders.held():
            following = _typed(project, "deploy", "--env", "cloud", "--yes")
            until(lambda: orders.calls() > seen)
            following.send_signal(signal.SIGINT)
            _, said = following.communicate()
            assert following.returncode == exits.INTERRUPTED
            assert said == (
                "The deployment goes on without you. To see where it stands, and follow it to its end: "
                "cascade deploy --env cloud\n"
            )
            assert status(aws) == "UPDATE_IN_PROGRESS"
        until(lambda: status(aws) == "UPDATE_COMPLETE")
        assert deploy() == exits.OK


class TestWhereTo:
    @pytest.fixture
    def nowhere(self, project: Project, orders: Orders, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        for name in (*GIVEN, "AWS_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**NOBODY, "AWS_EC2_METADATA_DISABLED": "true"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(project.root)
        written = project.root / "cascade.toml"
        before = written.read_text(encoding="utf-8")
        yield written
        written.write_text(before, encoding="utf-8")

    def _told(self, capsys: pytest.CaptureFixture[str], *options: str) -> str:
        assert run(["deploy", *options]) == exits.WRONG_USE
        return capsys.readouterr().err

    def test_a_region_is_missing(self, nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "region under [env.prod] in cascade.toml, or --region" in self._told(capsys)

    def test_credentials_are_missing(self, nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "Log in to AWS (aws configure" in self._told(capsys, "--region", "eu-central-1")

    def test_a_profile_is_not_there(self, nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
        nowhere.write_text(nowhere.read_text() + 'profile = "work"\n')
        assert "profile (work) could not be found" in self._told(capsys)

    def test_of_several_environments_one_is_named(self, nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
        nowhere.write_text(nowhere.read_text() + CLOUD)
        assert "say which: --env cloud, --env prod" in self._told(capsys)
        assert "no environment 'prd' (there is: cloud, prod)" in self._told(capsys, "--env", "prd")
        assert "cascade up" in self._told(capsys, "--env", "local")
        assert "name the stack with --stack" in self._told(capsys, "--url", "http://x")

    def test_lambda_is_what_is_built_for(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        made = Made("functions/claim", Artifact(project.home / "claim.zip"))
        monkeypatch.setattr(cloud_build, "build", lambda *_: [made])
        monkeypatch.setattr(artifacts, "this_machine", lambda *_: pytest.fail("it was built for this machine"))
        assert cloud.build(replace(project, env="prod")) == {"functions/claim": made.artifact}


def test_dev_deploys_what_is_saved_and_shows_mistakes_in_place(project: Project, stack: LocalStack) -> None:
    declare(project, WORKFLOWS)
    watching = _typed(project, "dev", "--json")
    lines = iter(watching.stdout or ())

    def told() -> Any:
        return json.loads(next(lines))

    try:
        up = json.loads("".join(iter(lambda: next(lines), "}\n")) + "}")
        assert up["apiUrl"] == stack.api_url
        declare(project, flows("one", "four"))
        assert (first := told())["deployed"]
        assert first["files"] == ["examples/workflows/__init__.py"]
        declare(project, flows("one") + "nonsense\n")
        assert not (second := told())["deployed"]
        assert "examples/workflows/__init__.py:7: the module 'workflows' can't be imported" in second["error"]
        declare(project, WORKFLOWS)
        assert told()["deployed"]
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate()
    finally:
        watching.kill()
    assert watching.returncode == exits.INTERRUPTED
    assert said.endswith("the stack, if it was up, still runs. Stop it: cascade down\n")


def _typed(project: Project, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cascade_flow.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(BACKEND)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=project.root, env=environment, stdout=pipe, stderr=pipe, text=True)
