"""AWS in this process: a table, a bucket and a queue behind clients with boto3's methods, without a wire."""
