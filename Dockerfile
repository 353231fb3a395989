# One image for every service of docker-compose.yaml: the code, and the packages of requirements.lock.
FROM python:3.11-slim-bookworm

# Where packages come from, if not from pip's default: docker-compose build --build-arg PIP_INDEX_URL=...
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST

ENV LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONUTF8=1 \
    TZ=Asia/Shanghai \
    DO_NOT_TRACK=1

RUN groupadd --gid 50000 labour \
 && useradd --uid 50000 --gid 50000 --create-home --home-dir /home/labour --shell /usr/sbin/nologin labour

WORKDIR /opt/labour
COPY requirements.lock ./
COPY .ci/install .ci/install
RUN UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1 bash .ci/install
ENV PATH=/opt/labour/.venv/bin:$PATH \
    PYTHONPATH=/opt/labour

COPY dags dags
COPY deploy deploy
COPY dbt_project dbt_project
COPY expectations expectations
COPY include include
COPY plugins plugins

# Named volumes take over the owner of the folders they are mounted on. The code itself stays root's.
RUN mkdir -p /opt/airflow/logs var/inbox var/landing var/outbox var/work var/drafts \
 && chown -R labour:labour /opt/airflow var
ENV AIRFLOW_HOME=/opt/airflow \
    VAR_DIR=/opt/labour/var

USER labour
# METRICS_URL, one setting, becomes the several that Airflow and OpenTelemetry ask for; then the command itself runs.
ENTRYPOINT ["python", "-m", "include.operate.metrics"]
CMD ["airflow", "version"]
