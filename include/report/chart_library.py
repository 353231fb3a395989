"""The script that draws the page's live charts: Vega out of the installed ``vl-convert-python``, packed for a page.

The page's policy allows scripts by their hash and no evaluated code; vega-embed carries the interpreter of Vega's
expressions that this needs. Packed it takes 0.4 MB of a page instead of 0.9; the browser unpacks it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vl_convert

from include.report.svg_charts import VEGA_LITE, live_chart
from include.settings import get_settings

_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@dataclass(frozen=True, slots=True)
class ChartLibrary:
    """What a page embeds for its live charts.

    Attributes:
        packed: the script, gzip in base64.
        script_hash: of the unpacked script, as Content-Security-Policy names it (``sha256-…``).
        charts: Vega specifications by shape (``bars``, ``columns``) whose data the page fills in.
    """

    packed: str
    script_hash: str
    charts: dict[str, Any]


@lru_cache(maxsize=1)
def chart_library() -> ChartLibrary:
    """The library of the installed version.

    Made once per version (some 4 s) and kept under ``var/cache``, for every page needs it and each process would make
    it anew.
    """
    name = f"chart-library-{version('vl-convert-python')}-{VEGA_LITE}-{_digest()}.json"
    kept = get_settings().var / "cache" / name
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        return ChartLibrary(found["packed"], found["script_hash"], found["charts"])
    except (OSError, ValueError, KeyError):
        library = _made()
    content = {"packed": library.packed, "script_hash": library.script_hash, "charts": library.charts}
    kept.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=kept.parent, prefix=".chart-library-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, sort_keys=True)
    os.replace(draft, kept)
    return library


def pack(content: str) -> str:
    """Text as gzip in base64; the same text gives the same packet on any day."""
    return base64.b64encode(gzip.compress(content.encode("utf-8"), compresslevel=9, mtime=0)).decode("ascii")


def script_hash(content: str) -> str:
    """``sha256-…`` of a script or style, as a Content-Security-Policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}"


def _made() -> ChartLibrary:
    script = vl_convert.javascript_bundle(_SNIPPET, vl_version=VEGA_LITE)
    charts = {
        shape: vl_convert.vegalite_to_vega(live_chart(shape), vl_version=VEGA_LITE) for shape in ("bars", "columns")
    }
    # The compiler names the parts of a chart in any order; a page made now is that of a page made from what was kept.
    return ChartLibrary(pack(script), script_hash(script), json.loads(json.dumps(charts, sort_keys=True)))


def _digest() -> str:
    """Of this project's own share in it: a changed chart is made anew."""
    own = Path(__file__).with_name("svg_charts.py").read_bytes()
    return hashlib.sha256(own).hexdigest()[:12]
