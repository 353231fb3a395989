"""Who may do what in production's Airflow: Flask-AppBuilder's auth manager, with one question asked more narrowly.

The class keeps its parent's name, by which Airflow tells whether to note permissions of single DAGs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.providers.fab.auth_manager import fab_auth_manager

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails


class FabAuthManager(fab_auth_manager.FabAuthManager):
    """Answers a person's decision by *can edit on HITL Detail* and *can read* of the DAG.

    The parent also asks for *can edit* of the DAG, by which whoever approves a report could pause the DAG as well.
    """

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: Any,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Whether the user may; see the parent for all but decisions."""
        if access_entity is DagAccessEntity.HITL_DETAIL and method == "PUT":
            may_decide = self.is_authorized_custom_view(method="PUT", resource_name="HITL Detail", user=user)
            return may_decide and super().is_authorized_dag(method="GET", user=user, details=details)
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
