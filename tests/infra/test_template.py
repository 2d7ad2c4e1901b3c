"""What the template promises: who may do what, what is kept, what is woken again, and that nothing is open to all."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from cascade_flow.local import Project, deployment, template
from cascade_flow.settings import Settings
from infra.written import PARAMETERS, RESOURCES, ROOT, TEMPLATE, chosen, function, of_type, properties, statements

FUNCTIONS = sorted(of_type("AWS::Serverless::Function"))
ROLES = sorted(of_type("AWS::IAM::Role"))
API_FUNCTIONS = [
    "AnalyticsFunction",
    "ClaimFunction",
    "ControlFunction",
    "DiagnosisFunction",
    "HeartbeatFunction",
    "QueryFunction",
    "ServiceFunction",
    "SubmissionFunction",
]
NEVER = {"dynamodb:Scan", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteTable"}
OF_LIMITS = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["LIM#*"]}}
"""Who leaves the line before a limit takes its item away: of limits' partitions, and of no run's."""


PAYLOADS = {"Fn::Sub": "${Bucket.Arn}/payloads/*"}
"""The one pattern that is allowed: a payload's name is the hash of its content."""


def _routes_of(api: str) -> list[dict[str, Any]]:
    routes = [route["Properties"] for route in of_type("AWS::ApiGatewayV2::Route").values()]
    return [route for route in routes if route["ApiId"] == {"Ref": api}]


class TestTheDoor:
    def test_every_route_wants_a_signature(self) -> None:
        routes = _routes_of("Api")
        assert {route["RouteKey"] for route in routes} == {
            "GET /runs/{runId}/children/{stepId+}",
            "GET /diagnosis",
            "GET /runs/{runId}/diagnosis",
            "POST /preflight",
            "POST /runs",
            "POST /runs/batch",
            "POST /workflows/{slug}/runs",
            "GET /runs",
            "GET /runs/{runId}",
            "GET /runs/{runId}/steps",
            "GET /runs/{runId}/steps/{stepId+}",
            "GET /runs/{runId}/events",
            "POST /runs/{runId}/events/{event+}",
            "GET /runs/{runId}/logs",
            "POST /runs/{runId}/cancel",
            "POST /runs/{runId}/retry",
            "POST /runs/{runId}/resume",
            "GET /runs/{runId}/rerun",
            "POST /runs/{runId}/rerun",
            "POST /runs/cancel",
            "POST /runs/retry",
            "POST /runs/{runId}/steps/{proxy+}",
            "POST /steps/claim",
            "GET /limits",
            "GET /limits/{name}",
            "GET /workflows",
            "GET /workflows/{slug}",
            "GET /workflows/{slug}/versions",
            "GET /workflows/{slug}/versions/{versionId}",
            "PUT /workflows/{slug}",
            "GET /schedules",
            "GET /workflows/{slug}/schedules/{name}",
            "POST /workflows/{slug}/schedules/{proxy+}",
            "GET /analytics/{proxy+}",
            "GET /workers",
            "GET /workers/{workerId+}",
            "GET /dead-letters",
            "POST /dead-letters/redrive",
            "GET /health",
            "GET /version",
        }
        assert {route["AuthorizationType"] for route in routes} == {"AWS_IAM"}

    def test_the_second_door_is_shut_until_somebody_vouches_for_tokens(self) -> None:
        second = {name: each for name, each in RESOURCES.items() if name.startswith("Token")}
        assert {each["Condition"] for each in second.values()} == {"HasJwt"}
        routes = _routes_of("TokenApi")
        assert {route["RouteKey"] for route in routes} == {
            "POST /runs",
            "POST /runs/batch",
            "POST /workflows/{slug}/runs",
            *(f"POST /runs/{{runId}}/{command}" for command in ("cancel", "retry", "resume", "rerun")),
            "POST /runs/{runId}/events/{event+}",
            "POST /runs/cancel",
            "POST /runs/retry",
            "GET /analytics/{proxy+}",
            "GET /workers",
            "GET /workers/{workerId+}",
            "GET /dead-letters",
            "GET /health",
            "GET /version",
            "GET /{proxy+}",
            "POST /workflows/{slug}/schedules/{proxy+}",
            "GET /diagnosis",
            "GET /runs/{runId}/diagnosis",
        }
        assert {route["AuthorizationType"] for route in routes} == {"JWT"}
        checked = properties("TokenAuthorizer")["JwtConfiguration"]
        assert checked == {"Issuer": {"Ref": "JwtIssuer"}, "Audience": [{"Ref": "JwtAudience"}]}

    def test_the_third_door_is_shut_until_somebody_wants_calls_from_outside(self) -> None:
        third = {name: each for name, each in RESOURCES.items() if "Callback" in name}
        assert {each["Condition"] for each in third.values()} == {"HasCallbacks"}
        routes = _routes_of("CallbackApi")
        address = "/callbacks/{runId}/{secret}"
        assert {route["RouteKey"] for route in routes} == {f"GET {address}", f"POST {address}"}
        assert {route["AuthorizationType"] for route in routes} == {"NONE"}

    def test_there_is_no_other_way_in(self) -> None:
        doors = [route for api in ("Api", "TokenApi", "CallbackApi") for route in _routes_of(api)]
        assert len(doors) == len(of_type("AWS::ApiGatewayV2::Route"))
        assert not of_type("AWS::Lambda::Url")
        assert not any("FunctionUrlConfig" in function(name) for name in FUNCTIONS)
        assert "CorsConfiguration" not in properties("Api")

    def test_only_this_api_may_invoke(self) -> None:
        permissions = [each["Properties"] for each in of_type("AWS::Lambda::Permission").values()]
        callers: dict[str, list[str]] = {api: [] for api in ("${Api}/*", "${TokenApi}/*", "${CallbackApi}/*")}
        for permission in permissions:
            callers[permission["SourceArn"]["Fn::Sub"].rpartition(":")[2]].append(permission["FunctionName"]["Ref"])
        assert sorted(callers["${Api}/*"]) == API_FUNCTIONS
        for_people = set(API_FUNCTIONS) - {"ClaimFunction", "HeartbeatFunction"}
        assert sorted(callers["${TokenApi}/*"]) == sorted(for_people)
        assert callers["${CallbackApi}/*"] == ["CallbacksFunction"]

    def test_it_is_throttled_and_logs_no_payload(self) -> None:
        stage = properties("Stage")
        assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "RequestsPerSecond"}
        assert "body" not in stage["AccessLogSettings"]["Format"].lower()

    @pytest.mark.parametrize("name", API_FUNCTIONS)
    def test_functions_answer_before_the_api_gives_up(self, name: str) -> None:
        assert function(name)["Timeout"] < 30


class TestFunctions:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_each_has_its_folder_role_and_log(self, name: str) -> None:
        stem = name.removesuffix("Function")
        written = function(name)
        assert written["CodeUri"] == f"functions/{stem.lower()}"
        assert written["Handler"] == "app.handler"
        assert written["Role"] == {"Fn::GetAtt": [f"{stem}Role", "Arn"]}
        assert written["LoggingConfig"] == {"LogGroup": {"Ref": "Logs"}}
        assert "Policies" not in written

    def test_nothing_has_a_name_that_two_stacks_would_share(self) -> None:
        named = {"FunctionName", "RoleName", "TableName", "QueueName", "BucketName", "AlarmName", "ManagedPolicyName"}
        kinds = {name for name, each in RESOURCES.items() if each["Type"] != "AWS::Lambda::Permission"}
        assert not [name for name in kinds if named & set(properties(name))]
        assert properties("ReaperFunction")["Events"]["Tick"]["Properties"]["OmitName"] is True

    def test_who_wakes_itself_is_no_loop(self) -> None:
        assert function("WorkerFunction")["RecursiveLoop"] == "Allow"

    def test_a_call_of_the_reaper_is_worth_a_minute(self) -> None:
        once = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
        assert function("ReaperFunction")["EventInvokeConfig"] == once
        assert properties("ReaperFunction")["Events"]["Tick"]["Properties"]["RetryPolicy"] == once

    def test_a_new_account_has_room_beside_the_worker(self) -> None:
        assert PARAMETERS["WorkerConcurrency"]["Default"] + PARAMETERS["UrgentConcurrency"]["Default"] <= 8

    def test_every_folder_of_functions_is_deployed(self) -> None:
        folders = {f"functions/{path.parent.name}" for path in (ROOT / "functions").glob("*/app.py")}
        assert folders <= {function(name)["CodeUri"] for name in FUNCTIONS}

    def test_every_setting_that_is_given_is_read(self) -> None:
        known = set(Settings.model_fields) | {"git"}
        given = {key for name in FUNCTIONS for key in function(name)["Environment"]["Variables"]}
        given |= set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
        assert {key.removeprefix("CASCADE_").lower() for key in given if key.startswith("CASCADE_")} <= known

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_no_secret_is_in_the_environment(self, name: str) -> None:
        variables = function(name)["Environment"]["Variables"]
        assert not [each for each in variables if "SECRET" in each or "KEY" in each or "TOKEN" in each]

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_only_what_runs_users_code_has_users_code(self, name: str) -> None:
        layers = [layer["Ref"] for layer in function(name)["Layers"]]
        runs_users_code = name in ("WorkerFunction", "RegistrationFunction")
        assert layers == ["FrameworkLayer", *(["WorkflowsLayer"] if runs_users_code else [])]

    def test_the_reaper_is_called_each_minute(self) -> None:
        tick = properties("ReaperFunction")["Events"]["Tick"]
        assert tick["Type"] == "ScheduleV2"
        assert tick["Properties"]["ScheduleExpression"] == "rate(1 minute)"

    def test_what_changes_workflows_registers_them_again(self) -> None:
        registration = properties("Registration")
        assert {"Ref": "WorkflowsLayer"} in registration["Sources"]
        assert {"Ref": "FrameworkLayer"} in registration["Sources"]

    def test_a_registration_may_be_slow_and_a_dead_one_is_found(self) -> None:
        waited = properties("Registration")["ServiceTimeout"]
        assert 120 < function("RegistrationFunction")["Timeout"] < waited < 600
        assert 2 * waited * 1_000_000 < deployment.PATIENCE_US, "and what there was before is registered again"


class TestRoles:
    @pytest.mark.parametrize("role", ROLES)
    def test_nothing_is_allowed_by_pattern(self, role: str) -> None:
        assert properties(role)["ManagedPolicyArns"] == [{"Ref": "CommonPolicy"}]
        for statement in statements(role):
            if statement["Action"] == ["dynamodb:DeleteItem"] and statement.get("Condition") == OF_LIMITS:
                continue
            assert not [action for action in statement["Action"] if "*" in action or action in NEVER]
            assert not [resource for resource in statement["Resource"] if "*" in str(resource) and resource != PAYLOADS]

    def test_what_all_may_is_to_log_and_with_whose_consent_to_use_a_key_and_trace(self) -> None:
        common = [chosen(each) for each in properties("CommonPolicy")["PolicyDocument"]["Statement"]]
        granted = {tuple(each["Action"]): each["Resource"] for [each] in common}
        assert granted == {
            ("logs:CreateLogStream", "logs:PutLogEvents"): [{"Fn::GetAtt": ["Logs", "Arn"]}],
            ("kms:Decrypt", "kms:GenerateDataKey"): [{"Ref": "KmsKeyArn"}],
            ("xray:PutTraceSegments", "xray:PutTelemetryRecords"): ["*"],  # X-Ray knows no resource here
        }

    @pytest.mark.parametrize("role", ROLES)
    def test_a_role_belongs_to_one_function(self, role: str) -> None:
        holders = [name for name in FUNCTIONS if function(name)["Role"] == {"Fn::GetAtt": [role, "Arn"]}]
        assert holders == [f"{role.removesuffix('Role')}Function"]
        assert properties(role)["AssumeRolePolicyDocument"]["Statement"] == [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]

    def test_only_the_reaper_calls_a_function_and_that_is_itself(self) -> None:
        callers = [each for role in ROLES for each in statements(role) if "lambda:InvokeFunction" in each["Action"]]
        [called] = [resource for each in callers for resource in each["Resource"]]
        assert callers in ([each] for each in statements("ReaperRole"))
        assert called == {"Fn::GetAtt": ["ReaperFunction", "Arn"]}

    def test_who_only_reads_can_only_read(self) -> None:
        actions = {action for statement in statements("QueryRole") for action in statement["Action"]}
        assert {each for each in actions if not each.startswith("logs:")} == {
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "s3:GetObject",
            "s3:ListBucket",
        }

    @pytest.mark.parametrize("role", ROLES)
    def test_who_gets_payloads_is_told_of_a_missing_one(self, role: str) -> None:
        """S3 answers 403, not 404, whoever may not list."""
        granted = {action: each for each in statements(role) for action in each["Action"]}
        assert ("s3:ListBucket" in granted) == ("s3:GetObject" in granted)
        if "s3:ListBucket" in granted:
            assert granted["s3:ListBucket"]["Condition"] == {"StringLikeIfExists": {"s3:prefix": "payloads/*"}}


class TestTheBucket:
    def test_it_survives_its_stack_but_not_a_deployment_that_never_was(self) -> None:
        assert RESOURCES["Bucket"]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert RESOURCES["Bucket"]["UpdateReplacePolicy"] == "Retain"

    def test_it_is_encrypted_and_shut(self) -> None:
        bucket = properties("Bucket")
        assert "BucketEncryption" in bucket
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}

    def test_what_is_in_it_outlives_the_longest_run_and_expires(self) -> None:
        [rule] = properties("Bucket")["LifecycleConfiguration"]["Rules"]
        assert rule["ExpirationInDays"] == {"Ref": "PayloadDays"}
        assert PARAMETERS["PayloadDays"]["Default"] > 365 + PARAMETERS["RetentionDays"]["Default"]


class TestTheTable:
    def test_it_survives_its_stack_but_not_a_deployment_that_never_was(self) -> None:
        assert RESOURCES["Table"]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert RESOURCES["Table"]["UpdateReplacePolicy"] == "Retain"
        assert properties("Table")["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
        assert PARAMETERS["DeletionProtection"]["Default"] == "false", "what is protected can't be undone"
        assert properties("Table")["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}

    def test_its_key_costs_nothing_unless_it_is_yours(self) -> None:
        assert chosen(properties("Table")["SSESpecification"]) == [
            {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KmsKeyArn"}}
        ]

    def test_it_expires_and_nothing_is_paid_that_nobody_uses(self) -> None:
        table = properties("Table")
        assert "StreamSpecification" not in table
        assert table["TimeToLiveSpecification"] == {"AttributeName": "exp", "Enabled": True}
        assert table["BillingMode"] == "PAY_PER_REQUEST"

    def test_its_keys_and_indexes(self) -> None:
        table = properties("Table")
        types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        indexes = {each["IndexName"]: each for each in table["GlobalSecondaryIndexes"]}
        keyed = {"": table["KeySchema"], **{name: index["KeySchema"] for name, index in indexes.items()}}
        shape = {
            name: [(key["AttributeName"], types[key["AttributeName"]], key["KeyType"]) for key in keys]
            for name, keys in keyed.items()
        }
        assert shape == {
            "": [("pk", "S", "HASH"), ("sk", "S", "RANGE")],
            "due": [("q", "S", "HASH"), ("due", "N", "RANGE")],
            "runs": [("rk", "S", "HASH"), ("created", "N", "RANGE")],
        }
        assert set(types) == {name for keys in shape.values() for name, _, _ in keys}
        assert indexes["due"]["Projection"] == {"ProjectionType": "KEYS_ONLY"}
        assert indexes["runs"]["Projection"]["ProjectionType"] == "INCLUDE"
        assert "LocalSecondaryIndexes" not in table


HEARD = ("Queue", "UrgentQueue")


class TestTheQueues:
    @pytest.mark.parametrize("name", HEARD)
    def test_what_fails_again_and_again_is_set_aside(self, name: str) -> None:
        redrive = properties(name)["RedrivePolicy"]
        assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetters", "Arn"]}
        assert redrive["maxReceiveCount"] >= 5
        kept = {name: properties(name)["MessageRetentionPeriod"] for name in (name, "DeadLetters")}
        assert kept["DeadLetters"] > kept[name]

    def test_all_but_the_dead_letters_are_heard(self) -> None:
        heard = [each["Properties"]["Queue"] for each in properties("WorkerFunction")["Events"].values()]
        assert heard == [{"Fn::GetAtt": [name, "Arn"]} for name in HEARD]
        assert {*HEARD, "DeadLetters"} == set(of_type("AWS::SQS::Queue"))

    @pytest.mark.parametrize("name", HEARD)
    def test_a_message_is_hidden_for_six_invocations(self, name: str) -> None:
        assert properties(name)["VisibilityTimeout"] == {
            "Fn::FindInMap": ["Visibility", {"Ref": "WorkerTimeout"}, "Seconds"]
        }
        hidden = {int(timeout): each["Seconds"] for timeout, each in TEMPLATE["Mappings"]["Visibility"].items()}
        assert list(hidden) == PARAMETERS["WorkerTimeout"]["AllowedValues"]
        assert all(seconds == 6 * timeout for timeout, seconds in hidden.items())

    @pytest.mark.parametrize("name", ["Wake", "WakeUrgent"])
    def test_one_message_is_one_invocation(self, name: str) -> None:
        wake = properties("WorkerFunction")["Events"][name]["Properties"]
        assert wake["BatchSize"] == 1
        assert wake["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    def test_the_most_that_run_at_once_is_the_parameter(self) -> None:
        most = {int(name): each["Executions"] for name, each in TEMPLATE["Mappings"]["Concurrency"].items()}
        assert list(most) == PARAMETERS["UrgentConcurrency"]["AllowedValues"]
        assert list(most)[1:] == PARAMETERS["WorkerConcurrency"]["AllowedValues"]
        assert all(executions == (name or 2) for name, executions in most.items()), "AWS takes no less than 2"

    @pytest.mark.parametrize("name", sorted(of_type("AWS::SQS::Queue")))
    def test_it_is_encrypted_on_disk_and_on_its_way(self, name: str) -> None:
        assert properties(name)["SqsManagedSseEnabled"] == {"Fn::If": ["HasKey", {"Ref": "AWS::NoValue"}, True]}
        assert chosen(properties(name)["KmsMasterKeyId"]) == [{"Ref": "KmsKeyArn"}]
        policy = properties("QueuePolicy")
        assert {"Ref": name} in policy["Queues"]
        (refusal,) = policy["PolicyDocument"]["Statement"]
        assert refusal["Effect"] == "Deny"
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert PARAMETERS["RequireTls"]["Default"] == "true"


class TestLogsAndAlarms:
    def test_every_log_has_an_end(self) -> None:
        groups = of_type("AWS::Logs::LogGroup")
        assert set(groups) == {"Logs", "ApiLogs"}
        assert TEMPLATE["Globals"]["Function"]["LoggingConfig"] == {"LogGroup": {"Ref": "Logs"}}
        assert all(group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())

    def test_an_api_may_write_its_log_where_the_policy_for_such_logs_is_full(self) -> None:
        """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html"""
        name = of_type("AWS::Logs::LogGroup")["ApiLogs"]["Properties"]["LogGroupName"]["Fn::Sub"]
        assert name.startswith("/aws/vendedlogs/")

    def test_alarms_reach_somebody_and_say_what_to_do(self) -> None:
        alarms = of_type("AWS::CloudWatch::Alarm")
        assert {"DeadLettersAlarm", "ReaperSilentAlarm"} <= set(alarms)
        for alarm in alarms.values():
            assert "HasAlarmTopic" in str(alarm["Properties"]["AlarmActions"])
            assert alarm["Properties"]["AlarmDescription"]


class TestParameters:
    @pytest.mark.parametrize("env", ["local", "prod"])
    def test_a_project_gives_what_the_template_takes(self, env: str) -> None:
        for name, value in Project(ROOT, env=env).parameters.items():
            allowed = PARAMETERS[name].get("AllowedValues")
            assert allowed is None or value in map(str, allowed)

    def test_sam_and_cascade_deploy_the_same(self) -> None:
        sam = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))["default"]["global"]["parameters"]
        prod = Project(ROOT, env="prod")
        assert sam == {"stack_name": prod.stack_name}
        assert prod.parameters == {name: PARAMETERS[name]["Default"] for name in prod.parameters}

    def test_what_the_template_takes_is_read_without_yaml(self) -> None:
        assert template.parameters(ROOT / "template.yaml") == list(PARAMETERS)

    @pytest.mark.parametrize("env", ["local", "prod"])
    def test_two_heartbeats_may_be_lost(self, env: str) -> None:
        given = Project(ROOT, env=env).parameters
        ms = {name: int(given.get(name, PARAMETERS[name]["Default"])) for name in ("LeaseMs", "HeartbeatMs")}
        assert 3 * ms["HeartbeatMs"] <= ms["LeaseMs"]

    def test_a_default_can_be_deployed_as_it_is(self) -> None:
        assert not [name for name, parameter in PARAMETERS.items() if "Default" not in parameter]
        limited = [each for each in PARAMETERS.values() if "AllowedValues" in each]
        assert all(each["Default"] in each["AllowedValues"] for each in limited)

    @pytest.mark.parametrize("output", ["ApiUrl", "ApiId", "TableName", "QueueUrl", "WorkerFunctionName"])
    def test_what_callers_need_is_an_output(self, output: str) -> None:
        assert output in TEMPLATE["Outputs"]
