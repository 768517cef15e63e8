"""A subscription to factors: a snapshot and then every change, or changes from a time, a position or a token.

The way in is :func:`consolidator.subscribe`. Why it reads in this order: ``docs/decisions/0029-subscribing.md`` of the
repository.
"""
