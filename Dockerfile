# syntax=docker/dockerfile:1.7

FROM python:3.11.13-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY streams streams
COPY schemas schemas
RUN python -m venv /opt/cx && /opt/cx/bin/pip install --no-cache-dir --constraint constraints.txt .
# The hot modules, compiled: the compiler stays in this stage.
COPY scripts/compile_core.py scripts/
RUN python -m venv /opt/compiler \
    && /opt/compiler/bin/pip install --no-cache-dir --constraint constraints.txt . mypy setuptools \
    && /opt/compiler/bin/python scripts/compile_core.py --into /opt/cx/lib/python3.11/site-packages

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin cx
COPY --from=build /opt/cx /opt/cx
ENV PATH=/opt/cx/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /tmp
USER 10001
EXPOSE 9464
# Of a worker; runs on a read-only root: only /tmp is written to.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/healthz', timeout=3)"]
ENTRYPOINT ["cx"]
CMD ["worker"]
