# Throttle with everything locked in uv.lock. One image serves every service of docker-compose.yml.
#   docker build -t throttle .
#   docker run --rm -p 127.0.0.1:8080:8080 throttle sim view --host 0.0.0.0
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check uv==0.13.8
ENV UV_PROJECT_ENVIRONMENT=/opt/throttle UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
WORKDIR /src
# packages first: this layer is made again only when the lock file changes
COPY pyproject.toml uv.lock ./
RUN uv sync --python python3 --frozen --no-dev --extra ray --no-install-project
COPY . .
RUN uv sync --python python3 --frozen --no-dev --extra ray --no-editable

FROM ${BASE}
RUN groupadd --gid 1000 throttle && useradd --uid 1000 --gid throttle --create-home throttle \
    && install -d -o throttle -g throttle /data /cache
COPY --from=build /opt/throttle /opt/throttle
ENV PATH=/opt/throttle/bin:$PATH PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/cache/numba MPLCONFIGDIR=/cache/matplotlib \
    WANDB_MODE=offline
USER throttle
# runs/ and datasets/ are made below it
WORKDIR /data
VOLUME ["/data", "/cache"]
ENTRYPOINT ["throttle"]
CMD ["--help"]
