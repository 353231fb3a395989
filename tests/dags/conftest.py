"""A real Airflow for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Airflow:
    """Airflow's web interface without a socket, and the DAGs of ``dags/`` that its metadata knows."""

    app: Any
    dags: dict[str, Any]

    def token(self, name: str, role: str | None) -> str:
        """What a user of the simple auth manager signs in with."""
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        manager = self.app.state.auth_manager
        signer = manager._get_token_signer(expiration_time_in_seconds=3600)
        return str(signer.generate(manager.serialize_user(SimpleAuthManagerUser(username=name, role=role))))


@pytest.fixture(scope="session")
def airflow_core(var_dir: Path) -> Airflow:
    """Metadata in a file of its own, filled once a session; the plugins are those of ``plugins/``."""
    from airflow.api_fastapi.app import create_app
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.db import initdb

    initdb()
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    [bundle] = [one for one in manager.get_all_dag_bundles() if one.name == "dags-folder"]
    bundle.initialize()
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    sync_bag_to_db(bag, bundle.name, bundle.version)
    return Airflow(create_app(apps="core"), dict(bag.dags))
