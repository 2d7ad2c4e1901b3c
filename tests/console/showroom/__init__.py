"""A stack with a day behind it, in this process, that the console is looked at with: `python -m console.pictures`."""
