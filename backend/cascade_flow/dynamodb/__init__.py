"""The one table: its keys, its items, its conditional requests. Items never leave this room."""
