"""Carrying out steps: user code under a timeout, a heartbeat, a capture of what it writes. No boto3 in this room."""
