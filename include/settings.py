"""Where things lie and how the system is reached: the one place that reads environment variables.

Every setting has a default that makes the embedded system work from a plain checkout; production sets the
variables (see ``.env.example``). Paths are absolute ``pathlib.Path`` objects.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
TIME_ZONE = "Asia/Shanghai"


@dataclass(frozen=True)
class Settings:
    """Resolved settings.

    Attributes:
        var: folder of all changing state (``VAR_DIR``, default ``<project>/var``).
        inbox, landing, outbox, work: the folders of the flow, under ``var`` unless set one by one
            (``INBOX_DIR``, ``LANDING_DIR``, ``OUTBOX_DIR``, ``WORK_DIR``).
        drafts: where rendered reports wait until they are approved (``DRAFTS_DIR``, under ``var`` unless set).
        backup: where backups are kept, one folder each (``BACKUP_DIR``, under ``var`` unless set).
        logs: Airflow's logs (``AIRFLOW__LOGGING__BASE_LOG_FOLDER``, under ``var`` unless set).
        retention_file: YAML of how long what is kept (``RETENTION_FILE``).
        warehouse_url: ``WAREHOUSE_URL`` (``postgresql://user:password@host:port/database``) or ``None``: then the
            embedded PostgreSQL under ``var/postgres`` is used.
        postgres_programs: folder of PostgreSQL's client programs (``POSTGRES_PROGRAMS``), or ``None``: those that come
            with the embedded server, which speak no TLS.
        reporters_file: CSV of who must report (``REPORTERS_FILE``).
        reporting_file: YAML of due days and thresholds (``REPORTING_FILE``).
        thresholds_override: YAML of thresholds of the rules that differ here (``THRESHOLDS_FILE``), or ``None``.
        limits_file: YAML of what one received file may cost (``LIMITS_FILE``).
        read_workers: files read side by side (``READ_WORKERS``), or ``None``: as many as the limits say.
        contacts_file: CSV of the reporters' role mailboxes (``CONTACTS_FILE``).
        smtp_url, mail_from: mail server with its login, and the sender (``SMTP_URL``, ``MAIL_FROM``); without the
            first no mail is sent.
        webhook_url, webhook_secret: web address that takes every message, and the secret that signs them
            (``WEBHOOK_URL``, ``WEBHOOK_SECRET``); without the first none is called.
        webhook_style: what the web address understands (``WEBHOOK_STYLE``): ``standard`` (Standard Webhooks),
            ``wecom`` (企业微信群机器人) or ``dingtalk`` (钉钉群机器人).
        channels_file: YAML of the channels that files come from (``CHANNELS_FILE``).
        health_override: YAML of thresholds of the health check that differ here (``HEALTH_FILE``), or ``None``.
        health_mail: mailbox of whoever runs the system, which gets the health digest (``HEALTH_MAIL``).
        metrics_url: OpenTelemetry collector (OTLP over HTTP) that Airflow's metrics go to (``METRICS_URL``); without it
            there are none.
        airflow_url: Airflow's API as the tasks know it (``AIRFLOW__CORE__EXECUTION_API_SERVER_URL``), without path.
        airflow_user, airflow_password: login by which the health check reads it (``AIRFLOW_HEALTH_USER``,
            ``AIRFLOW_HEALTH_PASSWORD``); not needed for the embedded stack.
        needs_approval: a person approves each report before it is released (``REPORT_APPROVAL=on``; ``off`` without).
    """

    var: Path
    inbox: Path
    landing: Path
    outbox: Path
    work: Path
    warehouse_url: str | None
    reporters_file: Path
    reporting_file: Path
    thresholds_override: Path | None = None
    limits_file: Path = PROJECT_ROOT / "include" / "config" / "limits.yaml"
    read_workers: int | None = None
    contacts_file: Path = PROJECT_ROOT / "include" / "config" / "contacts.csv"
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    webhook_url: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    webhook_style: str = "standard"
    drafts: Path = PROJECT_ROOT / "var" / "drafts"
    channels_file: Path = PROJECT_ROOT / "include" / "config" / "channels.yaml"
    backup: Path = PROJECT_ROOT / "var" / "backup"
    logs: Path = PROJECT_ROOT / "var" / "airflow" / "logs"
    retention_file: Path = PROJECT_ROOT / "include" / "config" / "retention.yaml"
    needs_approval: bool = False
    postgres_programs: Path | None = None
    health_override: Path | None = None
    health_mail: str | None = None
    metrics_url: str | None = None
    airflow_url: str | None = None
    airflow_user: str = "health"
    airflow_password: str | None = field(default=None, repr=False)
    dbt_project: Path = PROJECT_ROOT / "dbt_project"
    expectations: Path = PROJECT_ROOT / "expectations"


def _path(name: str, default: Path) -> Path:
    value = os.environ.get(name)
    return Path(value).expanduser().resolve() if value else default


def environment_secret(name: str) -> str | None:
    """The value of a variable that a configuration file names, where a secret may not stand in the file itself."""
    return os.environ.get(name) or None


def _is_on(name: str) -> bool:
    """A switch; a word that is neither on nor off is no reason to leave a safeguard out."""
    value = (os.environ.get(name) or "off").strip().lower()
    if value in {"on", "true", "yes", "1"}:
        return True
    if value in {"off", "false", "no", "0"}:
        return False
    raise ValueError(f"{name} is {value!r}: write on or off")


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Settings of this process, read once from the environment."""
    var = _path("VAR_DIR", PROJECT_ROOT / "var")
    config = PROJECT_ROOT / "include" / "config"
    override = os.environ.get("THRESHOLDS_FILE")
    read_workers = os.environ.get("READ_WORKERS")
    programs = os.environ.get("POSTGRES_PROGRAMS")
    health_override = os.environ.get("HEALTH_FILE")
    airflow_url = os.environ.get("AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
    return Settings(
        var=var,
        inbox=_path("INBOX_DIR", var / "inbox"),
        landing=_path("LANDING_DIR", var / "landing"),
        outbox=_path("OUTBOX_DIR", var / "outbox"),
        work=_path("WORK_DIR", var / "work"),
        warehouse_url=os.environ.get("WAREHOUSE_URL") or None,
        reporters_file=_path("REPORTERS_FILE", config / "reporters.csv"),
        reporting_file=_path("REPORTING_FILE", config / "reporting.yaml"),
        thresholds_override=Path(override).expanduser().resolve() if override else None,
        contacts_file=_path("CONTACTS_FILE", config / "contacts.csv"),
        smtp_url=os.environ.get("SMTP_URL") or None,
        mail_from=os.environ.get("MAIL_FROM") or None,
        webhook_url=os.environ.get("WEBHOOK_URL") or None,
        webhook_secret=os.environ.get("WEBHOOK_SECRET") or None,
        webhook_style=os.environ.get("WEBHOOK_STYLE") or "standard",
        drafts=_path("DRAFTS_DIR", var / "drafts"),
        channels_file=_path("CHANNELS_FILE", config / "channels.yaml"),
        backup=_path("BACKUP_DIR", var / "backup"),
        logs=_path("AIRFLOW__LOGGING__BASE_LOG_FOLDER", var / "airflow" / "logs"),
        retention_file=_path("RETENTION_FILE", config / "retention.yaml"),
        needs_approval=_is_on("REPORT_APPROVAL"),
        postgres_programs=Path(programs).expanduser().resolve() if programs else None,
        limits_file=_path("LIMITS_FILE", config / "limits.yaml"),
        read_workers=max(int(read_workers), 1) if read_workers else None,
        health_override=Path(health_override).expanduser().resolve() if health_override else None,
        health_mail=os.environ.get("HEALTH_MAIL") or None,
        metrics_url=os.environ.get("METRICS_URL") or None,
        airflow_url=airflow_url.split("/execution")[0] if airflow_url else None,
        airflow_user=os.environ.get("AIRFLOW_HEALTH_USER") or "health",
        airflow_password=os.environ.get("AIRFLOW_HEALTH_PASSWORD") or None,
    )
