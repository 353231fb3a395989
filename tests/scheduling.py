"""Which process of ``pytest -n`` runs which files, and in what order.

Left to itself, pytest-xdist hands out files with many tests first, so that the few long tests come last and one process
waits for the other; and it makes a fixture that takes minutes once in every process that meets it. Here the longest
come first, and files that share such a fixture go to one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Files that use one costly fixture, by the name of it; a file that is not listed is only slower.
TOGETHER = {
    "demo_province": ("tests/integration/test_querying.py", "tests/integration/test_province.py"),
    "small_province": (
        "tests/dbt/test_build.py",
        "tests/dbt/test_mutations.py",
        "tests/dbt/test_project.py",
    ),
    "airflow_core": ("tests/dags/test_approval.py", "tests/dags/test_partitions.py", "tests/dags/test_status_page.py"),
}
# What takes longest, longest first. All else follows in pytest's own order.
FIRST = (
    "tests/integration/test_airflow_run.py",
    "demo_province",
    "small_province",
    "tests/dbt/test_build_order.py",
    "tests/integration/test_bench.py",
    "tests/dbt/test_analysis.py",
    "tests/integration/test_trace.py",
    "tests/dbt/test_subsidies.py",
    "tests/integration/test_publishing.py",
    "tests/integration/test_publishing_killed.py",
    "tests/integration/test_status_page.py",
    "tests/integration/test_chain.py",
    "tests/integration/test_interruption.py",
)
_GROUP_OF = {file: group for group, files in TOGETHER.items() for file in files}
_PLACE = {name: place for place, name in enumerate(FIRST)}


def group_of(nodeid: str) -> str:
    """What a test is run together with: the name of its group, else its file."""
    file = nodeid.split("::", 1)[0]
    return _GROUP_OF.get(file, file)


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The longest groups first, each in one piece; otherwise as they were."""
    return sorted(items, key=lambda item: _PLACE.get(group_of(item.nodeid), len(FIRST)))


class GroupScheduling(LoadFileScheduling):
    """Hands out groups in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
