"""The table as the product creates it, where no template does."""

import pytest

from cascade_flow.dynamodb import keys
from testbed.servers import Store


@pytest.mark.servers("ministack", "moto", "dynamodb-local")
def test_what_has_expired_is_deleted_by_the_table_itself(dynamodb: Store) -> None:
    told = dynamodb.server.keeper.describe_time_to_live(TableName=dynamodb.table)["TimeToLiveDescription"]
    assert told == {"TimeToLiveStatus": "ENABLED", "AttributeName": keys.EXPIRY}
