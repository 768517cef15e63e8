"""Alembic's entry point: it runs the steps on the connection that :mod:`streams.sink.database` gives it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
# The caller's transaction: of several sinks that start together one brings the database to its version.
context.run_migrations()
