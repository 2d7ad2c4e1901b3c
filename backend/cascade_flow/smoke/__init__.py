"""What only a deployed stack can show, looked at point by point, in some five minutes: `cascade smoke`.

Nothing is changed but for one run of the workflow `smoke`, which its caller drives, and which expires as all runs do.
"""
