from tests.databases import connect, database_url, postgres, postgres_url
from tests.redis_server import redis_server, redis_url

__all__ = [
    "connect",
    "database_url",
    "postgres",
    "postgres_url",
    "redis_server",
    "redis_url",
]
