"""What every suite shares: the testbed's fixtures and options (see `testbed.plugin`)."""

pytest_plugins = ["testbed.plugin"]
