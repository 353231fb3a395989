"""What dbt gives to templates as ``modules``, for sqlfluff, which renders them without dbt."""

import datetime
import itertools
import re

__all__ = ["datetime", "itertools", "re"]
