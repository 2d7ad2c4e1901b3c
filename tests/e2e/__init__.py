"""The end-to-end suite: runs of a deployed stack, from the HTTP call to their end, through all that may go wrong."""
