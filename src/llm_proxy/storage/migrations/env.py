"""Runs migrations, in the transaction that is handed over by `storage.schema`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
