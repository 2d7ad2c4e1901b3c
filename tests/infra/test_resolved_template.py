"""What a stack gets for its parameters: each reaches its place, and what is optional is there when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cascade_flow.dynamodb import schema
from cascade_flow.settings import Settings
from infra.resolved import Resolved
from infra.written import PARAMETERS, RESOURCES, TEMPLATE, function, of_type, properties

PLAIN = Resolved()
KEY, TOPIC = "arn:aws:kms:eu-west-1:1:key/k", "arn:aws:sns:eu-west-1:1:t"
FUNCTIONS = sorted(of_type("AWS::Serverless::Function"))
ALARMS = sorted(of_type("AWS::CloudWatch::Alarm"))
STACK = {"Ref": "AWS::StackName"}
OPTIONS = {
    "ReaperConcurrency": ("2", "IsReserved"),
    "WarmReads": ("12000", "IsWarm"),
    "KmsKeyArn": (KEY, "HasKey"),
    "JwtIssuer": ("https://tokens.example.com", "HasJwt"),
    "Tracing": ("Active", "IsTraced"),
    "Callbacks": ("true", "HasCallbacks"),
    "CallbacksUrl": ("https://calls.example.com", "HasCallbacksUrl"),
    "FailureRateWorkflow": ("letters", "IsOneWorkflow"),
    "PoolLateSeconds": ("60", "WatchesPools"),
    "AlarmTopic": (TOPIC, "HasAlarmTopic"),
    "DeletionProtection": ("true", "IsProtected"),
}
"""What is off by default, a value that turns it on, and the condition that this makes true."""
ON = {
    "TlsOnly": ("RequireTls", "false"),
    "HasDashboard": ("WithDashboard", "false"),
    "KeepsRoom": ("UrgentConcurrency", "0"),
}
"""What is on by default, and the parameter's value that turns it off."""


POLICIES = (
    "AWS::IAM::Role",
    "AWS::IAM::Policy",
    "AWS::IAM::ManagedPolicy",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
)


def walked(written: Any) -> Iterator[tuple[str, Any]]:
    """All that is in it, by its name."""
    for each in written if isinstance(written, list) else written.items() if isinstance(written, dict) else ():
        if isinstance(each, tuple):
            yield each
        yield from walked(each[1] if isinstance(each, tuple) else each)


def granted(policy: str) -> dict[str, list[str]]:
    """The actions of a policy of the API's, and where they go."""
    [statement] = properties(policy)["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    where = [resource["Fn::Sub"].partition("${Api}/")[2] for resource in statement["Resource"]]
    return dict.fromkeys(statement["Action"], where)


def called_by(integration: dict[str, Any]) -> str:
    name, attribute = integration["IntegrationUri"]["Fn::GetAtt"]
    assert attribute == "Arn"
    return str(name)


def lead(api: str) -> Iterator[tuple[str, str]]:
    """Each route of a door, and the function that it leads to."""
    for written in of_type("AWS::ApiGatewayV2::Route").values():
        route = written["Properties"]
        if route["ApiId"] == {"Ref": api}:
            integration = properties(route["Target"]["Fn::Sub"].removeprefix("integrations/${").removesuffix("}"))
            assert integration["ApiId"] == {"Ref": api}, "an integration of another door"
            yield route["RouteKey"], called_by(integration)


class TestChoices:
    def test_what_is_on_by_default(self) -> None:
        assert PLAIN.conditions == set(ON)

    @pytest.mark.parametrize(("parameter", "value", "condition"), [(p, *each) for p, each in OPTIONS.items()])
    def test_each_option_turns_on_one_thing(self, parameter: str, value: str, condition: str) -> None:
        assert Resolved(**{parameter: value}).conditions == {*ON, condition}

    @pytest.mark.parametrize(("condition", "parameter", "off"), [(name, *each) for name, each in ON.items()])
    def test_what_is_on_can_be_turned_off(self, condition: str, parameter: str, off: str) -> None:
        assert Resolved(**{parameter: off}).conditions == set(ON) - {condition}

    def test_every_condition_is_tried_here(self) -> None:
        assert set(TEMPLATE["Conditions"]) == set(ON) | {condition for _, condition in OPTIONS.values()}

    def test_what_was_not_given_is_used_nowhere(self) -> None:
        """An empty ARN or a count of none would be refused, or taken at its word."""
        stack = Resolved()
        assert stack.resources
        assert not stack.used & (set(OPTIONS) - {"Tracing"})

    def test_tokens_are_taken_for_a_named_audience_only(self) -> None:
        issuer = "https://tokens.example.com"
        assert PLAIN.takes("Tokens")
        assert not Resolved(JwtIssuer=issuer).takes("Tokens")
        assert Resolved(JwtIssuer=issuer, JwtAudience="cascade").takes("Tokens")

    def test_a_key_encrypts_all_that_is_kept(self) -> None:
        keyed = Resolved(KmsKeyArn=KEY).properties
        assert keyed("Table")["SSESpecification"]["KMSMasterKeyId"] == KEY
        [rule] = keyed("Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
        for queue in of_type("AWS::SQS::Queue"):
            assert keyed(queue)["KmsMasterKeyId"] == KEY
            assert "SqsManagedSseEnabled" not in keyed(queue)
        assert {keyed(group)["KmsKeyId"] for group in of_type("AWS::Logs::LogGroup")} == {KEY}
        assert [each["Resource"] for each in _common(Resolved(KmsKeyArn=KEY)) if "kms:Decrypt" in each["Action"]] == [
            [KEY]
        ]

    def test_without_one_aws_encrypts(self) -> None:
        [rule] = PLAIN.properties("Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        assert {PLAIN.properties(queue)["SqsManagedSseEnabled"] for queue in of_type("AWS::SQS::Queue")} == {True}
        assert [each["Action"][0] for each in _common(PLAIN)] == ["logs:CreateLogStream"]

    def test_traces_are_allowed_where_they_are_sent(self) -> None:
        actions = [action for each in _common(Resolved(Tracing="Active")) for action in each["Action"]]
        assert "xray:PutTraceSegments" in actions

    def test_table_and_indexes_are_warm_together(self) -> None:
        table = Resolved(WarmReads="12000", WarmWrites="8000").properties("Table")
        warm = [each["WarmThroughput"] for each in (table, *table["GlobalSecondaryIndexes"])]
        assert warm == [{"ReadUnitsPerSecond": "12000", "WriteUnitsPerSecond": "8000"}] * 3

    def test_the_reapers_reserve(self) -> None:
        assert "ReservedConcurrentExecutions" not in PLAIN.properties("ReaperFunction")
        reserved = Resolved(ReaperConcurrency="2").properties("ReaperFunction")
        assert reserved["ReservedConcurrentExecutions"] == "2"

    def test_what_is_protected_cannot_be_deleted(self) -> None:
        found = [Resolved(DeletionProtection=given).properties("Table") for given in ("true", "false")]
        assert [each["DeletionProtectionEnabled"] for each in found] == [True, False]


class TestTheEnvironment:
    GIVEN = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    NAMED = {
        "CASCADE_TABLE": {"Ref": "Table"},
        "CASCADE_QUEUE_URL": {"Ref": "Queue"},
        "CASCADE_URGENT_QUEUE_URL": {"Fn::If": ["KeepsRoom", {"Ref": "UrgentQueue"}, {"Ref": "AWS::NoValue"}]},
        "CASCADE_BUCKET": {"Ref": "Bucket"},
        "CASCADE_WORKFLOWS": {"Ref": "WorkflowsPackage"},
        "POWERTOOLS_SERVICE_NAME": STACK,
        "POWERTOOLS_LOG_LEVEL": {"Ref": "LogLevel"},
    }

    def test_each_variable_is_its_parameter(self) -> None:
        settings = {name: value for name, value in self.GIVEN.items() if name not in self.NAMED}
        assert {name: value["Ref"] for name, value in settings.items()} == {name: _camel(name) for name in settings}
        assert {name: self.GIVEN[name] for name in self.NAMED} == self.NAMED

    def test_every_setting_that_can_be_chosen_is_given(self) -> None:
        chosen = {f"CASCADE_{name.upper()}" for name in Settings.model_fields if _camel(name) in PARAMETERS}
        names = ("LOG_LEVEL", "WORKER_CONCURRENCY", "URGENT_CONCURRENCY", "CALLBACKS_URL")
        elsewhere = {f"CASCADE_{name}" for name in names}
        assert chosen - elsewhere == set(self.GIVEN) - set(self.NAMED)

    @pytest.mark.parametrize("name", sorted(set(GIVEN) - set(NAMED)))
    def test_what_may_be_chosen_is_what_a_setting_takes(self, name: str) -> None:
        written = PARAMETERS[_camel(name)]
        taken = Settings.model_json_schema()["properties"][name.removeprefix("CASCADE_").lower()]
        ours = [written.get(key) for key in ("MinValue", "MaxValue", "AllowedValues")]
        assert ours == [taken.get(key) for key in ("minimum", "maximum", "enum")]

    def test_functions_are_told_what_only_they_need(self) -> None:
        own = {
            name: properties(name)["Environment"]["Variables"]
            for name in FUNCTIONS
            if "Environment" in properties(name)
        }
        own.pop("WorkerFunction")  # said below
        assert own == {
            "ServiceFunction": {
                "CASCADE_DEAD_LETTERS_URL": {"Ref": "DeadLetters"},
                "CASCADE_WORKER_MEMORY_MB": {"Ref": "WorkerMemory"},
            },
            "DiagnosisFunction": {
                "CASCADE_WORKER_CONCURRENCY": {"Ref": "WorkerConcurrency"},
                "CASCADE_URGENT_CONCURRENCY": {"Ref": "UrgentConcurrency"},
            },
            "RegistrationFunction": {"CASCADE_GIT": {"Ref": "Git"}},
        }

    def test_a_worker_gives_addresses_away_only_where_somebody_answers(self) -> None:
        def given(**parameters: str) -> Any:
            return Resolved(**parameters).properties("WorkerFunction")["Environment"]["Variables"]

        own, mine = {"Fn::GetAtt": ["CallbackApi", "ApiEndpoint"]}, "https://calls.example.com"
        assert given(CallbacksUrl=mine) == given() == {"CASCADE_CALLBACKS_URL": ""}
        assert given(Callbacks="true") == {"CASCADE_CALLBACKS_URL": own}
        assert given(Callbacks="true", CallbacksUrl=mine) == {"CASCADE_CALLBACKS_URL": mine}

    def test_only_calls_from_outside_need_no_credentials(self) -> None:
        assert "CallbackApi" not in PLAIN.resources
        stack = Resolved(Callbacks="true")
        routes = [each["Properties"] for each in stack.resources.values() if each["Type"] == "AWS::ApiGatewayV2::Route"]
        open_to_all = {route["RouteKey"] for route in routes if route["AuthorizationType"] == "NONE"}
        assert open_to_all == {f"{method} /callbacks/{{runId}}/{{secret}}" for method in ("GET", "POST")}
        limits = stack.properties("CallbackStage")["DefaultRouteSettings"]
        assert limits["ThrottlingRateLimit"] == str(PARAMETERS["CallbacksPerSecond"]["Default"])

    @pytest.mark.parametrize("name", sorted(set(GIVEN) - set(NAMED)))
    def test_a_default_is_the_settings_own(self, name: str) -> None:
        default = Settings.model_fields[name.removeprefix("CASCADE_").lower()].default
        assert str(PARAMETERS[_camel(name)]["Default"]) == str(default)

    def test_every_function_is_of_one_make(self) -> None:
        shared = TEMPLATE["Globals"]["Function"]
        assert shared["Tracing"] == {"Ref": "Tracing"}
        for layer in ("FrameworkLayer", "WorkflowsLayer"):
            assert properties(layer)["CompatibleRuntimes"] == [shared["Runtime"]]
            assert properties(layer)["CompatibleArchitectures"] == shared["Architectures"]
        assert properties("FrameworkLayer")["ContentUri"] == "layers/framework"
        assert properties("WorkflowsLayer")["ContentUri"] == {"Ref": "WorkflowsDir"}


class TestTheWorker:
    def test_its_time_and_memory_are_what_was_chosen(self) -> None:
        """The queue hides messages by the same parameter: another time would let a second worker in."""
        worker = function("WorkerFunction")
        assert (worker["Timeout"], worker["MemorySize"]) == ({"Ref": "WorkerTimeout"}, {"Ref": "WorkerMemory"})

    @pytest.mark.parametrize(
        ("name", "queue", "parameter"),
        [("Wake", "Queue", "WorkerConcurrency"), ("WakeUrgent", "UrgentQueue", "UrgentConcurrency")],
    )
    def test_it_hears_each_queue_as_many_at_once_as_was_chosen(self, name: str, queue: str, parameter: str) -> None:
        wake = PLAIN.properties("WorkerFunction")["Events"][name]
        assert wake["Type"] == "SQS"
        assert wake["Properties"]["Queue"] == {"Fn::GetAtt": [queue, "Arn"]}
        most = {"Fn::FindInMap": ["Concurrency", str(PARAMETERS[parameter]["Default"]), "Executions"]}
        assert wake["Properties"]["ScalingConfig"] == {"MaximumConcurrency": most}
        assert wake["Properties"].pop("Enabled", True) is True
        assert set(wake["Properties"]) == {"Queue", "BatchSize", "FunctionResponseTypes", "ScalingConfig"}

    def test_without_room_for_what_is_urgent_nobody_asks_for_it(self) -> None:
        """An event source that is off polls no queue, and so costs nothing."""
        events = Resolved(UrgentConcurrency="0").properties("WorkerFunction")["Events"]
        assert [each["Properties"].get("Enabled", True) for each in events.values()] == [True, False]

    def test_every_event_source_is_told_here(self) -> None:
        assert set(properties("WorkerFunction")["Events"]) == {"Wake", "WakeUrgent"}

    def test_a_wake_up_is_tried_five_times_and_kept_for_days(self) -> None:
        assert {properties(name)["RedrivePolicy"]["maxReceiveCount"] for name in ("Queue", "UrgentQueue")} == {5}
        assert "tried five times" in properties("DeadLettersAlarm")["AlarmDescription"]
        days = {name: properties(name)["MessageRetentionPeriod"] / 86_400 for name in of_type("AWS::SQS::Queue")}
        assert days == {"Queue": 4, "UrgentQueue": 4, "DeadLetters": 14}


class TestTheReaper:
    def test_a_sweep_ends_before_the_next_one_but_one(self) -> None:
        """It takes all but its last five seconds; two of them side by side would only meet."""
        assert function("ReaperFunction")["Timeout"] == 60

    def test_a_minute_is_a_minute(self) -> None:
        [tick] = properties("ReaperFunction")["Events"].values()
        assert tick["Properties"]["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert tick["Properties"].get("State", "ENABLED") == "ENABLED"


class TestRegistration:
    def test_it_asks_the_function_of_that_name(self) -> None:
        registration = properties("Registration")
        assert registration["ServiceToken"] == {"Fn::GetAtt": ["RegistrationFunction", "Arn"]}
        assert registration["Workflows"] == {"Ref": "WorkflowsPackage"}


class TestTheDoors:
    def test_both_lead_to_the_same_functions(self) -> None:
        signed, tokens = dict(lead("Api")), dict(lead("TokenApi"))
        assert tokens.pop("GET /{proxy+}") == "QueryFunction"
        assert {route: signed[route] for route in tokens} == tokens
        rest = {name: route for route, name in signed.items() if route.startswith("GET") and route not in tokens}
        assert set(rest) == {"QueryFunction"}, "what the second door has by its last route"

    def test_functions_are_asked_in_the_form_that_they_read(self) -> None:
        for integration in of_type("AWS::ApiGatewayV2::Integration").values():
            form = {name: integration["Properties"][name] for name in ("IntegrationType", "PayloadFormatVersion")}
            assert form == {"IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0"}

    def test_each_permission_is_for_the_function_that_its_integration_calls(self) -> None:
        for name, permission in of_type("AWS::Lambda::Permission").items():
            integration = properties(name.replace("Permission", "Integration"))
            assert permission["Properties"]["FunctionName"] == {"Ref": called_by(integration)}
            assert permission["Properties"]["Action"] == "lambda:InvokeFunction"
            assert permission["Properties"]["Principal"] == "apigateway.amazonaws.com"

    @pytest.mark.parametrize(("stage", "api"), [("Stage", "Api"), ("TokenStage", "TokenApi")])
    def test_each_is_throttled_and_logs_who_asked_for_what(self, stage: str, api: str) -> None:
        written = properties(stage)
        assert written["ApiId"] == {"Ref": api}
        assert written["StageName"] == "$default"
        assert written["AutoDeploy"] is True
        rate = {"Ref": "RequestsPerSecond"}
        assert written["DefaultRouteSettings"] == {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": rate}
        assert written["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
        logged = json.loads(written["AccessLogSettings"]["Format"])
        assert set(logged) == {"id", "time", "caller", "route", "status", "ms", "error"}

    def test_tokens_are_read_where_they_belong(self) -> None:
        authorizer = properties("TokenAuthorizer")
        assert authorizer["AuthorizerType"] == "JWT"
        assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
        routes = [each["Properties"] for each in of_type("AWS::ApiGatewayV2::Route").values()]
        by_token = [route for route in routes if route["AuthorizationType"] == "JWT"]
        assert all(route["AuthorizerId"] == {"Ref": "TokenAuthorizer"} for route in by_token)

    def test_a_policy_opens_what_its_name_says(self) -> None:
        assert granted("ReadPolicy") == {"execute-api:Invoke": ["$default/GET/*"]}
        assert granted("SubmitPolicy") == {
            "execute-api:Invoke": ["$default/POST/runs", "$default/POST/runs/batch", "$default/POST/workflows/*/runs"]
        }
        steps = "runs/*/steps/*"
        assert granted("WorkPolicy") == {
            "execute-api:Invoke": ["$default/POST/steps/claim", f"$default/POST/{steps}", f"$default/GET/{steps}"]
        }


@pytest.mark.parametrize("name", sorted(name for kind in POLICIES for name in of_type(kind)))
def test_a_policy_is_of_the_language_of_today(name: str) -> None:
    documents = [value for key, value in walked(properties(name)) if key.endswith("PolicyDocument")]
    assert {document["Version"] for document in documents} == {"2012-10-17"}
    effects = {value for document in documents for key, value in walked(document) if key == "Effect"}
    assert effects == {"Deny" if name in ("BucketPolicy", "QueuePolicy") else "Allow"}


class TestWhatIsKept:
    def test_the_table_is_the_one_that_is_made_without_a_template(self) -> None:
        made, table = schema.table_definition("t"), PLAIN.properties("Table")
        assert {name: table[name] for name in made if name != "TableName"} == {
            name: value for name, value in made.items() if name != "TableName"
        }

    def test_nobody_but_the_functions_reaches_the_bucket(self) -> None:
        shut = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        bucket = properties("Bucket")
        assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(shut, True)
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}

    def test_payloads_expire_and_nothing_else(self) -> None:
        [rule] = properties("Bucket")["LifecycleConfiguration"]["Rules"]
        assert (rule["Status"], rule["Prefix"]) == ("Enabled", "payloads/")
        assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7

    @pytest.mark.parametrize(
        ("policy", "actions", "kept"),
        [
            ("BucketPolicy", "s3:*", [["Bucket", "Arn"], "${Bucket.Arn}/*"]),
            ("QueuePolicy", "sqs:SendMessage", [[name, "Arn"] for name in ("Queue", "UrgentQueue", "DeadLetters")]),
        ],
    )
    def test_what_is_not_encrypted_on_its_way_is_refused(self, policy: str, actions: str, kept: list[Any]) -> None:
        [refusal] = properties(policy)["PolicyDocument"]["Statement"]
        assert [next(iter(each.values())) for each in refusal.pop("Resource")] == kept
        assert refusal == {
            "Effect": "Deny",
            "Principal": "*",
            "Action": actions,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }

    def test_logs_go_with_the_stack(self) -> None:
        for name in of_type("AWS::Logs::LogGroup"):
            assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Delete", "Delete")


WITH_ALL_ALARMS = {"Callbacks": "true", "PoolLateSeconds": "60", "JwtIssuer": "https://issuer.example.org"}


class TestTheAlarms:
    @pytest.mark.parametrize("name", ALARMS)
    def test_each_looks_at_five_minutes_or_at_the_hour_that_it_speaks_of(self, name: str) -> None:
        assert properties(name)["Period"] == (3_600 if name == "FailureRateAlarm" else 300)
        assert properties(name)["EvaluationPeriods"] == 1

    @pytest.mark.parametrize("name", ALARMS)
    def test_silence_is_bad_of_the_reaper_only(self, name: str) -> None:
        assert properties(name)["TreatMissingData"] == ("breaching" if name == "ReaperSilentAlarm" else "notBreaching")

    @pytest.mark.parametrize("name", ALARMS)
    def test_it_tells_whom_it_was_given(self, name: str) -> None:
        assert Resolved(AlarmTopic=TOPIC, **WITH_ALL_ALARMS).properties(name)["AlarmActions"] == [TOPIC]
        assert Resolved(**WITH_ALL_ALARMS).properties(name)["AlarmActions"] == []

    @pytest.mark.parametrize("name", ALARMS)
    def test_it_watches_what_its_name_says(self, name: str) -> None:
        watched = {
            "AWS/SQS": {"Fn::GetAtt": ["DeadLetters", "QueueName"]},
            "AWS/Lambda": {"Ref": "ReaperFunction" if name.startswith("Reaper") else "WorkerFunction"},
            "AWS/DynamoDB": {"Ref": "Table"},
            "AWS/ApiGateway": {"Ref": name.removesuffix("FailingAlarm")},
            "cascade-flow": STACK,
        }
        indexes = {"DueThrottledAlarm": ["due"], "RunsThrottledAlarm": ["runs"]}
        alarm = Resolved(**WITH_ALL_ALARMS).properties(name)
        assert [each["Value"] for each in alarm["Dimensions"]] == [watched[alarm["Namespace"]], *indexes.get(name, [])]

    def test_the_rate_of_one_workflow_is_its_own(self) -> None:
        alarm = Resolved(FailureRateWorkflow="letters").properties("FailureRateAlarm")
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
            "service": STACK,
            "workflow": "letters",
        }

    @pytest.mark.parametrize(
        ("name", "parameter"),
        [("LateAlarm", "LateSeconds"), ("PoolLateAlarm", "PoolLateSeconds"), ("FailureRateAlarm", "FailureRate")],
    )
    def test_a_threshold_that_can_be_chosen_is(self, name: str, parameter: str) -> None:
        assert properties(name)["Threshold"] == {"Ref": parameter}


def test_outputs_are_what_they_are_called() -> None:
    told = {name: each["Value"] for name, each in TEMPLATE["Outputs"].items()}
    assert {name: _target(value) for name, value in told.items()} == {
        "ApiUrl": "Api.ApiEndpoint",
        "TokenApiUrl": "TokenApi.ApiEndpoint",
        "CallbacksUrl": "CallbackApi.ApiEndpoint",
        "ApiId": "Api",
        "ReadPolicyArn": "ReadPolicy",
        "SubmitPolicyArn": "SubmitPolicy",
        "SendPolicyArn": "SendPolicy",
        "WorkPolicyArn": "WorkPolicy",
        "TableName": "Table",
        "QueueUrl": "Queue",
        "UrgentQueueUrl": "UrgentQueue",
        "DeadLettersUrl": "DeadLetters",
        "BucketName": "Bucket",
        "WorkerFunctionName": "WorkerFunction",
        "ReaperFunctionName": "ReaperFunction",
        "RegistrationFunctionName": "RegistrationFunction",
        "RegisteredWorkflows": "Registration.Workflows",
    }


def _target(value: dict[str, Any]) -> str:
    return str(value["Ref"]) if "Ref" in value else ".".join(value["Fn::GetAtt"])


def _camel(variable: str) -> str:
    return "".join(word.capitalize() for word in variable.removeprefix("CASCADE_").split("_"))


def _common(stack: Resolved) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.properties("CommonPolicy")["PolicyDocument"]["Statement"]
    return found
