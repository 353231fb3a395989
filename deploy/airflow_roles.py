"""Makes Airflow's roles what ``airflow-roles.json`` says: ``python deploy/airflow_roles.py``, at every start.

The file has the form of ``airflow roles export``. ``airflow roles import`` leaves a role that exists as it is; here a
role of the file is given what the file says and loses what it does not say, so that a changed file takes effect and a
permission given by hand goes. Roles that are not in the file are not touched.

Then the two accounts that the installation itself needs, where their passwords are in the environment (on a command
line every process of the machine could read them): ``admin``, whose password is changed in the web page and stays as it
was changed, and ``health``, whose password is the given one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("airflow-roles.json")
#: Airflow's own, which it sets right itself.
BUILT_IN = {"Admin", "Op", "User", "Viewer", "Public"}
#: User name, role, variable of the password, whether that password is set again at every start.
ACCOUNTS = (
    ("admin", "Admin", "AIRFLOW_ADMIN_PASSWORD", False),
    ("health", "Viewer", "AIRFLOW_HEALTH_PASSWORD", True),
)


class RolesFileError(ValueError):
    """The file cannot be used; the message says what to write."""


def read_roles(path: Path, resources: Iterable[str], actions: Iterable[str]) -> dict[str, set[tuple[str, str]]]:
    """Roles of a file: name to pairs of action and resource.

    Args:
        resources, actions: the names that Airflow knows; ``DAG:<id>`` is known too.

    Raises:
        RolesFileError: no JSON of that form, a name that Airflow does not know, or one of its own roles.
    """
    known_resources, known_actions = set(resources), set(actions)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        roles: dict[str, set[tuple[str, str]]] = {}
        for entry in entries:
            pairs = {(action, entry["resource"]) for action in entry["action"].split(",")}
            roles.setdefault(entry["name"], set()).update(pairs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RolesFileError(
            f'{path}: needs a list of {{"name": …, "resource": …, "action": "can_read,can_edit"}} ({error!r})'
        ) from error
    if BUILT_IN & set(roles):
        raise RolesFileError(f"{path}: {', '.join(sorted(BUILT_IN & set(roles)))} is Airflow's own: take another name")
    for name, pairs in roles.items():
        for action, resource in sorted(pairs):
            if action not in known_actions or (resource not in known_resources and not resource.startswith("DAG:")):
                raise RolesFileError(f"{path}: {name}: Airflow knows no permission {action!r} on {resource!r}")
    return roles


def apply(manager: Any, roles: Mapping[str, set[tuple[str, str]]]) -> list[str]:
    """Set the roles in Airflow's metadata; what was changed, a line each.

    Args:
        manager: Flask-AppBuilder's security manager.
    """
    changes = []
    for name, wanted in roles.items():
        role = manager.add_role(name)
        held = {(one.action.name, one.resource.name): one for one in role.permissions}
        for action, resource in sorted(wanted - set(held)):
            manager.add_permission_to_role(role, manager.create_permission(action, resource))
            changes.append(f"{name}: given {action} on {resource}")
        for pair in sorted(set(held) - wanted):
            manager.remove_permission_from_role(role, held[pair])
            changes.append(f"{name}: taken away {pair[0]} on {pair[1]}")
    return changes


def make_accounts(manager: Any, environment: Mapping[str, str]) -> list[str]:
    """Make the installation's own accounts where they are missing; what was done, a line each.

    Args:
        manager: Flask-AppBuilder's security manager.
        environment: holds their passwords; an account whose variable is missing or empty is left alone.
    """
    done = []
    for name, role, variable, is_kept_in_step in ACCOUNTS:
        password = environment.get(variable)
        if not password:
            continue
        user = manager.find_user(username=name)
        if user is None:
            manager.add_user(name, name.title(), "", f"{name}@example.org", manager.find_role(role), password=password)
            done.append(f"account {name} made, with role {role}")
        elif is_kept_in_step:
            manager.reset_password(user.id, password)
            done.append(f"account {name} has the password of {variable}")
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """``airflow_roles.py [file]``, after ``airflow db migrate``."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.providers.fab.www.security import permissions

    parser = argparse.ArgumentParser(description="make Airflow's roles what a file says")
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    path = parser.parse_args(arguments).file
    names = vars(permissions)
    resources = [value for name, value in names.items() if name.startswith("RESOURCE_") and isinstance(value, str)]
    actions = [value for name, value in names.items() if name.startswith("ACTION_")]
    try:
        roles = read_roles(path, resources, actions)
    except RolesFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with get_application_builder() as builder:
        changes = apply(builder.sm, roles)
        accounts = make_accounts(builder.sm, os.environ)
    print("; ".join([f"roles {', '.join(roles)}: {len(changes)} permissions changed", *accounts]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
