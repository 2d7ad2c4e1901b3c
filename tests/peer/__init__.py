"""The published peer as an oracle: its schemas and projections, held against ours.

Other suites use these two; both take wire events as dictionaries.
"""

from peer.agreement import assert_peer_accepts, assert_peer_projects_as_we_do

__all__ = ["assert_peer_accepts", "assert_peer_projects_as_we_do"]
