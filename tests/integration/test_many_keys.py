"""Keys among very many others."""

import asyncio
import os

import asyncpg
