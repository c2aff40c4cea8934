# The backend as an image: what it needs to run and nothing to build with, for a user without rights.
#   docker build -t llm-services .
# requirements.lock names a hash for every file that is downloaded here.
FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock ./
RUN pip wheel --quiet --require-hashes --requirement requirements.lock --wheel-dir /wheels
COPY pyproject.toml README.md LICENSE ./
COPY alembic ./alembic
COPY backend ./backend
RUN python -m venv /opt/backend \
    && /opt/backend/bin/pip install --quiet --no-index --find-links /wheels hatchling \
    && /opt/backend/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
    && rm -r /opt/backend && python -m venv --without-pip /opt/backend \
    && pip --python /opt/backend/bin/python install --quiet --no-index --find-links /wheels \
        "llm-services[anthropic,azure,cli,fast,gemini,postgres,redis,server,telemetry,tokens,usage]"

FROM python:3.13-slim
ENV PATH=/opt/backend/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LLM_SPOOL_DIR=/var/lib/llm-services/spool
RUN useradd --system --uid 10001 --home-dir /var/lib/llm-services --create-home backend
COPY --from=build /opt/backend /opt/backend
COPY deploy/alembic.ini /etc/llm-services/alembic.ini
USER 10001
WORKDIR /var/lib/llm-services
VOLUME /var/lib/llm-services
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
# Before a new version serves: alembic -c /etc/llm-services/alembic.ini upgrade head
CMD ["uvicorn", "llm_services_deploy.app:app", "--host", "0.0.0.0", "--port", "8000"]
