"""The workflows that are deployed with this project: each module declares one. Put your own beside them."""
