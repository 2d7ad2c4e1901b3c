"""A bucket of S3 in this process, as its clients see it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from cascade_flow.testing.memory.direct_client import Call, DirectClient, Told

Objects = dict[tuple[str, str], bytes]


class BucketClient(DirectClient):
    """What the engine uses of a client of S3; twins have the same objects, and a wire each."""

    service = "s3"
    tries = 5

    def __init__(self, objects: Objects | None = None) -> None:
        super().__init__(self._serve)
        self.objects: Objects = {} if objects is None else objects

    def twin(self) -> BucketClient:
        return BucketClient(self.objects)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **kind: str) -> dict[str, Any]:
        return self.ask("PutObject", Bucket=Bucket, Key=Key, Body=Body, **kind)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return self.ask("GetObject", Bucket=Bucket, Key=Key)

    def generate_presigned_url(self, operation: str, *, Params: dict[str, str], ExpiresIn: int) -> str:
        """An address, made without a request."""
        return f"memory://{Params['Bucket']}/{Params['Key']}?operation={operation}&expires={ExpiresIn}"

    def _serve(self, request: Call) -> Told:
        place = request.body["Bucket"], request.body["Key"]
        if request.operation == "PutObject":
            self.objects[place] = request.body["Body"]
            return Told(200, {})
        if place not in self.objects:
            return Told(404, {"__type": "NoSuchKey", "message": "The specified key does not exist."})
        return Told(200, {"Body": BytesIO(self.objects[place])})
