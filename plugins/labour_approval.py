"""The task in which a person approves a report, or refuses it with a reason."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

if TYPE_CHECKING:
    from airflow.sdk import Context

# How often a request that nobody has answered looks whether its report was replaced meanwhile.
LOOK_AGAIN = timedelta(hours=1)
_STILL_ASKED = {"awaiting_input", "running", "queued", "scheduled", "up_for_retry", "restarting"}


class ReportApproval(ApprovalOperator):
    """Asks a person about the draft that ``render`` made, where approval is switched on; else passes at once.

    The answer is entered into the warehouse's ledger before the run goes on. A refusal without a reason is asked about
    again. A request whose report was replaced meanwhile ends as skipped.

    Args:
        draft: the result of ``render``.
    """

    template_fields: Collection[str] = ("draft",)

    def __init__(self, *, draft: Any, **rest: Any) -> None:
        super().__init__(
            subject="月报待批准 · Report to approve",
            params={
                "reason": Param(
                    "", type="string", title="理由 Reason", description="不批准时必填 / required for a refusal"
                )
            },
            # A person takes longer than any task may run.
            execution_timeout=None,
            response_timeout=LOOK_AGAIN,
            **rest,
        )
        self.draft = draft

    def execute(self, context: Context) -> Any:
        """Ask, unless nobody needs to be asked."""
        request = self._request(context)
        if request is None:
            return None
        self.subject, self.body = request.subject, request.body
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Enter the answer; look again where there is none."""
        from include.pipeline.publish import decide_report
        from include.publishing.approval import DecisionRefused

        if event.get("error_type") == "timeout":
            if self._request(context) is None:
                return None
            raise TaskAwaitingInput(method_name="execute_complete", timeout=self.response_timeout)
        is_approved = event["chosen_options"] == [self.APPROVE]
        reason = str((event["params_input"] or {}).get("reason") or "").strip()
        if not is_approved and not reason:
            self.log.warning("A refusal needs a reason: asked again. 不批准须写明理由，重新请示。")
            return self.execute(context)
        user = event["responded_by_user"] or {}
        try:
            decide_report(
                self.draft, is_approved=is_approved, actor=user.get("name") or user.get("id") or "—", reason_zh=reason
            )
        except DecisionRefused as refused:
            raise AirflowSkipException(str(refused)) from refused
        return super().execute_complete(context, event)

    def _request(self, context: Context) -> Any:
        from include.pipeline.publish import ReportRefused, ReportSuperseded, ReportWaits, approval_request

        instance = context["ti"]

        def still_asked(run_id: str) -> bool:
            states = instance.get_task_states(dag_id=self.dag_id, task_ids=[self.task_id], run_ids=[run_id])
            return any(state in _STILL_ASKED for tasks in states.values() for state in tasks.values())

        try:
            return approval_request(self.draft, instance.run_id, still_asked)
        except (ReportRefused, ReportSuperseded, ReportWaits) as settled:
            raise AirflowSkipException(str(settled)) from settled
