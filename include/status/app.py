"""The pages: addresses, who is let in, headers, errors. What they show is in :mod:`include.status.views`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import psycopg
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from include.settings import get_settings
from include.status import views
from include.status.reading import reading
from include.status.release import NotAsReleased, NotReleased, released_file
from include.warehouse.connection import WarehouseUnreachableError
from include.warehouse.embedded import EmbeddedPostgresError

_ASSETS = Path(__file__).parent / "assets"
_ASSET_TYPES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "icon-dark.svg": "image/svg+xml",
}

# Nothing but its own style sheet and script, framed by Airflow alone (same origin), never by another site.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# A file of a report is saved, not shown: opened here, the script in the HTML report would run as Airflow's.
_FILE_HEADERS = _HEADERS | {"Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'self'"}

Period = Annotated[str | None, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
ReporterCode = Annotated[str, Query(pattern=r"^[0-9A-Za-z_-]{1,20}$")]
FindingCode = Annotated[str | None, Query(pattern=r"^[ERW]-[A-Z]{2,6}-\d{3}$")]
PageNumber = Annotated[int, Query(ge=1, le=1000)]


def warehouse() -> Iterator[psycopg.Connection[Any]]:
    """The connection of one request."""
    with reading() as conn:
        yield conn


Warehouse = Annotated[psycopg.Connection[Any], Depends(warehouse)]
router = APIRouter()


@router.get("/")
def months(conn: Warehouse, page: PageNumber = 1) -> Response:
    return _page("months", views.months(conn, page))


@router.get("/month")
def month(conn: Warehouse, period: Period = None, only: views.Only = "all") -> Response:
    return _page("month", views.month(conn, period, only))


@router.get("/findings")
def findings(
    conn: Warehouse,
    period: Period = None,
    severity: views.SeverityChoice = "all",
    code: FindingCode = None,
    page: PageNumber = 1,
) -> Response:
    return _page("findings", views.findings(conn, period, severity, code, page))


@router.get("/reporter")
def reporter(conn: Warehouse, reporter: ReporterCode, period: Period = None) -> Response:
    return _page("reporter", views.reporter(conn, period, reporter))


@router.get("/reports")
def reports(conn: Warehouse, period: Period = None) -> Response:
    return _page("reports", views.reports(conn, period))


@router.get("/waiting")
def waiting(conn: Warehouse) -> Response:
    return _page("waiting", views.waiting(conn))


@router.get("/download")
def download(
    conn: Warehouse,
    period: Annotated[str, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")],
    issue: Annotated[int, Query(ge=0, le=10_000)],
    file: Annotated[str, Query(max_length=300)],
) -> Response:
    released = released_file(conn, get_settings().outbox, period, issue, file)
    named = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(released.name, safe='')}"}
    return Response(released.content, media_type=released.media_type, headers=_FILE_HEADERS | named)


def _asset(name: str) -> Callable[[], Response]:
    def serve() -> Response:
        # Its address changes with its content.
        headers = _HEADERS | {"Cache-Control": "private, max-age=86400"}
        return Response((_ASSETS / name).read_bytes(), media_type=_ASSET_TYPES[name], headers=headers)

    return serve


for _name in _ASSET_TYPES:
    router.add_api_route(f"/{_name}", _asset(_name), methods=["GET"])


@lru_cache(maxsize=1)
def _asset_version() -> str:
    digest = hashlib.sha256()
    for name in sorted(_ASSET_TYPES):
        digest.update((_ASSETS / name).read_bytes())
    return digest.hexdigest()[:12]


def create_app(allowed: Callable[..., Any]) -> FastAPI:
    """The application to be mounted below a prefix of Airflow's API server.

    Args:
        allowed: FastAPI dependency that every address asks first; raises ``HTTPException`` 401 or 403 for whoever may
            not see the page.
    """
    app = FastAPI(title="Labour reporting status", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router, dependencies=[Depends(allowed)])
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for error, status, key in (
        (views.UnknownToLedger, 404, "not_found"),
        (NotReleased, 404, "not_found"),
        (NotAsReleased, 409, "not_as_released"),
        (WarehouseUnreachableError, 503, "unavailable"),
        (EmbeddedPostgresError, 503, "unavailable"),
        (psycopg.OperationalError, 503, "unavailable"),
        (psycopg.errors.UndefinedTable, 503, "not_migrated"),
        (psycopg.errors.UndefinedColumn, 503, "not_migrated"),
        (psycopg.errors.InsufficientPrivilege, 503, "not_migrated"),
    ):
        app.add_exception_handler(error, _told(status, key))
    return app


def _page(name: str, shown: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    html = views.render(name, {"tab": name, "assets": _asset_version(), **shown})
    return Response(html, status, media_type="text/html; charset=utf-8", headers=_HEADERS | (headers or {}))


def _message(status: int, key: str, headers: dict[str, str] | None = None) -> Response:
    return _page("message", {"message": key}, status, headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    keys = {401: "unauthorised", 403: "forbidden", 404: "not_found"}
    return _message(error.status_code, keys.get(error.status_code, "refused"), dict(error.headers or {}))


def _invalid(request: Request, error: Exception) -> Response:
    return _message(422, "invalid")


def _told(status: int, key: str) -> Callable[[Request, Exception], Response]:
    def told(request: Request, error: Exception) -> Response:
        return _message(status, key)

    return told
