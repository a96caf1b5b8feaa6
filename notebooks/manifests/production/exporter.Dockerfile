# `wqlib metrics`. From the folder that holds wqlib/:
#   docker build -f notebooks/manifests/production/exporter.Dockerfile -t wq-exporter:1 .
FROM python:3.13-slim

# The same bounds as in pyproject.toml.
RUN pip install --no-cache-dir "redis>=6.4,<9" "hiredis>=3.2,<4" "prometheus-client>=0.21,<1"

WORKDIR /app
COPY wqlib wqlib

ENTRYPOINT ["python", "-m", "wqlib.commands.cli", "metrics"]
