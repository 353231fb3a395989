"""Production's Airflow for the tests of its roles: API server, Flask-AppBuilder, metadata on PostgreSQL.

``python -m tests.fab_airflow PORT`` in an environment that names metadata, auth manager and DAGs: makes the metadata,
roles and users, puts one report up for approval, says ``ready`` and serves until it is ended. A process of its own,
since Airflow takes one auth manager for the life of a process.
"""

from __future__ import annotations

import os
import sys
from typing import Any

PASSWORD = "Twelve letters 12"  # pragma: allowlist secret
USERS = {"wang": "OfficeApprover", "li": "OfficeViewer", "zhao": "DataEngineer", "admin": "Admin", "nobody": "Public"}
#: Made by ``deploy/airflow_roles.py``.
OWN_ACCOUNTS = {"admin", "health"}
DAG, RUN, TASK = "publish_report", "run-1", "approve"


def set_up() -> None:
    """Metadata, roles, users, and a request to approve."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils.db import initdb

    from deploy import airflow_roles

    initdb()
    # Twice, as at a second start with others: `admin` keeps the first, `health` has the last.
    for admin, health in ((PASSWORD, "the first of two"), ("the second of two", PASSWORD)):
        os.environ.update(AIRFLOW_ADMIN_PASSWORD=admin, AIRFLOW_HEALTH_PASSWORD=health)
        assert airflow_roles.main([]) == 0
    with get_application_builder() as builder:
        for name, role in USERS.items():
            if name in OWN_ACCOUNTS:
                continue
            found = builder.sm.find_role(role)
            assert builder.sm.add_user(name, name, name, f"{name}@example.cn", found, PASSWORD)
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    [bundle] = [one for one in manager.get_all_dag_bundles() if one.name == "dags-folder"]
    bundle.initialize()
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    assert not bag.import_errors
    sync_bag_to_db(bag, bundle.name, bundle.version)
    _ask(bag.dags[DAG])


def _ask(dag: Any) -> None:
    from airflow.models.hitl import HITLDetail
    from airflow.sdk import DagRunState, TaskInstanceState, timezone
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    with create_session() as session:
        run = stored.create_dagrun(
            run_id=RUN, logical_date=None, data_interval=None, run_after=timezone.utcnow(), session=session,
            run_type=DagRunType.MANUAL, state=DagRunState.RUNNING, triggered_by=DagRunTriggeredByType.TEST,
            partition_key="2026-10",
        )  # fmt: skip
        [task] = [one for one in run.task_instances if one.task_id == TASK]
        task.state = TaskInstanceState.AWAITING_INPUT
        session.add(HITLDetail(ti_id=task.id, options=["Approve", "Reject"], subject="2026年10月月报", params={}))


def main() -> None:
    """Set up, say so, serve."""
    import uvicorn
    from airflow.api_fastapi.app import create_app

    set_up()
    app = create_app()
    print("ready", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
