"""The console: a page for the runs of one stack, served on this machine to whoever holds its link.

`gate` says who is let in, `page` has the built files, `engine` passes calls on, signed; `site` leads each request to
one of them, and `server` is the socket. The page itself is written in the folder `console` of the repository.
"""

from __future__ import annotations

from cascade_flow.console.server import Console, Wishes

__all__ = ["Console", "Wishes"]
