"""Waits until the worker is done with a published event, and says what came of it.

The way in is :func:`consolidator.wait_for`, or :class:`consolidator.Waiter` for many events. Why it asks in this order:
``docs/decisions/0032-waiting.md`` of the repository.
"""
