"""Sign-in of production's Airflow (Flask-AppBuilder). LDAP in the place of its own passwords: docs/airflow-users.md."""

from __future__ import annotations

import re

from flask_appbuilder.const import AUTH_DB
from flask_appbuilder.exceptions import PasswordComplexityValidationError

WTF_CSRF_ENABLED = True
AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
# Of a password that a person chooses; 等保 asks for length and mixture.
PASSWORD_LENGTH = 12


def check_password(password: str) -> None:
    """At least twelve characters of three kinds (lower case, capitals, digits, others)."""
    kinds = sum(bool(re.search(kind, password)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^A-Za-z\d]"))
    if len(password) < PASSWORD_LENGTH or kinds < 3:
        raise PasswordComplexityValidationError(
            f"口令至少 {PASSWORD_LENGTH} 位，且包含大写字母、小写字母、数字、其他字符中的三类 / at least "
            f"{PASSWORD_LENGTH} characters of three kinds: capitals, lower case, digits, others"
        )


FAB_PASSWORD_COMPLEXITY_ENABLED = True
FAB_PASSWORD_COMPLEXITY_VALIDATOR = check_password
