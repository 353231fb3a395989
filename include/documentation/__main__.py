"""``make docs``: the warehouse for those who query it, in three files.

``var/docs/dbt.html``: dbt's own page (models, columns, tests, lineage); ``var/docs/数据字典.xlsx``: the data dictionary
in Chinese; ``var/docs/er.svg``: the entity-relationship diagram. All three come from the same parsed project.
"""

from __future__ import annotations

import sys

from include.documentation.diagram import write_diagram
from include.documentation.dictionary import write_dictionary
from include.documentation.pages import DocsNotWrittenError, write_pages
from include.settings import get_settings
from include.warehouse.connection import WarehouseUnreachableError
from include.warehouse.embedded import EmbeddedPostgresError
from include.warehouse.migrate import MigrationError


def main() -> int:
    """Write the three files and print where they are; 1 when dbt or the warehouse failed."""
    folder = get_settings().var / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        page, described = write_pages(folder)
        dictionary = write_dictionary(described, folder / "数据字典.xlsx")
        diagram = write_diagram(described.manifest, folder / "er.svg")
    except (DocsNotWrittenError, MigrationError, WarehouseUnreachableError, EmbeddedPostgresError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"models, columns, tests, lineage: {page}")
    print(f"data dictionary (数据字典):       {dictionary}")
    print(f"entity-relationship diagram:     {diagram}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
