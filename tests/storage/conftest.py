from tests.databases import connect, database_url, postgres, postgres_url

__all__ = ["connect", "database_url", "postgres", "postgres_url"]
