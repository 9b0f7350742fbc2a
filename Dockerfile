FROM python:3.13-slim AS build

ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/app/.venv \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
RUN pip install --no-cache-dir uv==0.13.8

# Dependencies first: this layer is built again only when the lock file changes.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project \
    --extra aws --extra jwt --extra postgres --extra redis

COPY README.md LICENSE ./
COPY src ./src
RUN uv sync --frozen --no-dev --no-editable \
    --extra aws --extra jwt --extra postgres --extra redis


FROM python:3.13-slim

ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    HOST=0.0.0.0 \
    DATABASE_URL=sqlite:////data/llm-proxy.db \
    SPOOL_DIR=/data/spool
WORKDIR /app
# Owned by root, so that the service cannot change its own code.
COPY --from=build /app/.venv ./.venv

# What the service writes; a volume takes over its owner.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
VOLUME /data

USER 10001:10001
EXPOSE 8000
# http.client: the slim image has no curl, and urllib would ask HTTP_PROXY.
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["python", "-c", "import http.client, os, sys; probe = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT', 8000)), timeout=3); probe.request('GET', '/livez'); sys.exit(probe.getresponse().status != 200)"]
CMD ["llm-proxy", "serve"]
