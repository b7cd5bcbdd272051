# Mina in a container: the API (`serve`), a worker (`work`), and the migration (`migrate`) are one image with three commands.
#
#   docker build -t mina .
#   docker run --rm --read-only --tmpfs /tmp --env-file mina.env -p 8000:8000 mina
#
# It runs as nobody in particular and writes to /tmp alone (clips on their way to the store), so the root file system may be read-only.
# Only where files are kept on disk instead of in a bucket, a volume at /data is written to as well. docs/deploy.md tells the rest.

FROM ghcr.io/astral-sh/uv:0.13 AS uv

FROM python:3.11-slim AS build
COPY --from=uv /uv /usr/local/bin/uv
WORKDIR /build
COPY pyproject.toml requirements.lock ./
# The lock is a constraint here, so that the tools of development stay out; its hashes hold all the same.
RUN uv venv --python /usr/local/bin/python /opt/mina \
 && uv pip install --python /opt/mina/bin/python --no-cache --compile-bytecode --only-binary :all: \
      --constraint requirements.lock --requirements pyproject.toml \
 && printf '#!/opt/mina/bin/python\nfrom mina_gql.cli import app\n\napp()\n' > /opt/mina/bin/mina \
 && chmod 755 /opt/mina/bin/mina
COPY mina_gql /app/mina_gql
COPY alembic /app/alembic
RUN /opt/mina/bin/python -m compileall -q /app

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mina \
 && install -d -o mina -g mina /data
COPY --from=build /opt/mina /opt/mina
COPY --from=build /app /app
ENV PATH=/opt/mina/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MINA_HOME=/data
WORKDIR /app
USER 10001:10001
EXPOSE 8000
# Of the API. A worker listens nowhere: switch this off for `work` (docker run --no-healthcheck).
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.getenv('MINA_PORT', '8000')}/health\", timeout=4)"]
ENTRYPOINT ["mina"]
CMD ["serve", "--no-worker", "--host", "0.0.0.0"]
