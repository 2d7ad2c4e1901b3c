"""A worker on a machine of one's own: it speaks HTTP only, and runs steps as the worker function does.

One process (`dispatcher`) asks for due steps, and hands them to as many (`slot`) as may run at a time.
"""
