"""The bucket that CloudFormation reads a deployment from: one per account and region, made when it is first needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from cascade_flow.errors import ConfigurationError
from cascade_flow.local.artifacts import Artifact
from cascade_flow.local.place import Place

_PRIVATE = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
_ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


class ArtifactStore:
    """A bucket of the account's own. What is there already, under its name, is not sent again."""

    def __init__(self, place: Place, bucket: str | None) -> None:
        """ConfigurationError where the bucket that is named isn't there, or is somebody else's."""
        self._bucket = place.client("s3")
        account: str = place.client("sts").get_caller_identity()["Account"]
        self.name = bucket or f"cascade-artifacts-{account}-{place.region}"
        self._owned: dict[str, Any] = {"Bucket": self.name, "ExpectedBucketOwner": account}
        if not self._is_there():
            if bucket:
                raise ConfigurationError(f"There is no bucket {bucket!r}. Make it, or leave artifacts_bucket out")
            self._make(place.region)

    def keep(self, artifacts: Iterable[Artifact]) -> None:
        for artifact in artifacts:
            if not self._has(artifact.key):
                with artifact.path.open("rb") as content:
                    self._bucket.put_object(**self._owned, Key=artifact.key, Body=content)

    def keep_template(self, key: str, text: str) -> str:
        """The template's address, as CloudFormation wants it."""
        self._bucket.put_object(**self._owned, Key=key, Body=text.encode())
        return f"{self._bucket.meta.endpoint_url}/{self.name}/{key}"

    def address(self, artifact: Artifact) -> str:
        return f"s3://{self.name}/{artifact.key}"

    def _is_there(self) -> bool:
        return self._answers("head_bucket")

    def _has(self, key: str) -> bool:
        return self._answers("head_object", Key=key)

    def _answers(self, question: str, **about: str) -> bool:
        try:
            getattr(self._bucket, question)(**self._owned, **about)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchBucket", "NotFound", "NoSuchKey"):
                return False
            if error.response["Error"]["Code"] in ("403", "AccessDenied"):
                raise ConfigurationError(
                    f"The bucket {self.name} is not yours, or you may not use it. Name another: artifacts_bucket"
                ) from error
            raise
        return True

    def _make(self, region: str) -> None:
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self._bucket.create_bucket(Bucket=self.name, **place)
        self._bucket.put_public_access_block(**self._owned, PublicAccessBlockConfiguration=_PRIVATE)
        self._bucket.put_bucket_encryption(**self._owned, ServerSideEncryptionConfiguration=_ENCRYPTED)
