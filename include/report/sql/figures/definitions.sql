select indicator, name_zh, definition_zh, unit
from reference.indicators
