"""The way to AWS: a lean client for what is asked often, boto3 for all else, one set of failures for both."""
