"""Charts of the HTML page: SVG drawn beforehand by Vega-Lite (vl-convert), so that the page carries no script."""

from __future__ import annotations

import re
from typing import Any

import vl_convert

from include.report.charts import COLOUR, LINE_COLOUR, ChartSpec, axis_tops

FACES = "PingFang SC, Microsoft YaHei, Noto Sans CJK SC, Source Han Sans SC, sans-serif"
INK = "#1f2933"
VEGA_LITE = "5.21"


def chart_svg(spec: ChartSpec, width: int) -> str:
    """``<svg>`` of one chart, about ``width`` CSS pixels wide. Ids are unique by chart and width."""
    svg = vl_convert.vegalite_to_svg(vega_lite(spec, width), vl_version=VEGA_LITE)
    prefix = f"{spec.key}-{width}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    # The figure element around it names the chart; the drawing itself is silent to screen readers.
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def vega_lite(spec: ChartSpec, width: int) -> dict[str, Any]:
    """The Vega-Lite specification: ranked bars, columns, or columns with a line on a second axis."""
    rows = [
        {"name": name, "value": value, "line": None if not spec.line or spec.line[at] is None else float(spec.line[at])}  # type: ignore[arg-type]
        for at, (name, value) in enumerate(zip(spec.categories, spec.values, strict=True))
    ]
    narrow = width < 480
    size = 11 if narrow else 13
    base: dict[str, Any] = {
        "data": {"values": rows},
        "width": width,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 2, "right": 26 if spec.kind == "bar" else 4, "top": 8, "bottom": 4},
        "background": "transparent",
        "config": {
            "font": FACES,
            "axis": {
                "labelFontSize": size,
                "titleFontSize": size,
                "labelColor": INK,
                "titleColor": INK,
                "domainColor": "#9aa5b1",
                "gridColor": "#e4e7eb",
                "ticks": False,
                "labelLimit": 118 if narrow else 260,
                "titleFontWeight": "normal",
            },
            "view": {"stroke": None},
            "text": {"font": FACES, "fontSize": size, "fill": INK},
        },
    }
    if spec.kind == "bar":
        base["height"] = 30 * len(rows) + 20
        base["encoding"] = {
            "y": {
                "field": "name",
                "type": "nominal",
                "sort": None,
                "axis": {"title": None, "domain": False, "labelPadding": 6},
            },
            "x": {"field": "value", "type": "quantitative", "axis": None},
        }
        label = {"mark": {"type": "text", "align": "left", "dx": 4}, "encoding": {"text": _count("value")}}
        base["layer"] = [{"mark": {"type": "bar", "color": f"#{COLOUR}", "height": {"band": 0.68}}}, label]
        return base
    base["height"] = 240 if narrow else 300
    category = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": None,
            "labelAngle": -35 if narrow and len(rows) > 4 else 0,
            "labelOverlap": len(rows) > 7,
            "labelLimit": 0,
        },
    }
    value: dict[str, Any] = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": None, "format": ",d", "tickCount": 5},
    }
    columns: list[dict[str, Any]] = [
        {
            "mark": {"type": "bar", "color": f"#{COLOUR}", "width": {"band": 0.5}},
            "encoding": {"x": category, "y": value},
        },
        {
            "mark": {"type": "text", "dy": -7},
            "encoding": {"x": category, "y": {**value}, "text": _count("value")},
        },
    ]
    if spec.kind == "column":
        base["layer"] = columns
        return base
    columns_top, line_top = axis_tops(spec)
    value["scale"] = {"domain": [0, columns_top]}
    columns[1]["encoding"]["y"] = {**value}
    rate = {
        "field": "line",
        "type": "quantitative",
        "scale": {"domain": [0, line_top]},
        "axis": {"title": f"{spec.line_title}（%）", "grid": False, "titleColor": f"#{LINE_COLOUR}", "tickCount": 5},
    }
    lines = [
        {
            "mark": {
                "type": "line",
                "color": f"#{LINE_COLOUR}",
                "strokeWidth": 2.5,
                "invalid": "break-paths-show-domains",
                "point": {"color": f"#{LINE_COLOUR}", "size": 50, "filled": True},
            },
            "encoding": {"x": category, "y": rate},
        },
        {
            "transform": [{"filter": "isValid(datum.line)"}],
            "mark": {"type": "text", "dy": -11, "fill": f"#{LINE_COLOUR}"},
            "encoding": {"x": category, "y": rate, "text": {"field": "line", "type": "quantitative", "format": ".1f"}},
        },
    ]
    base["layer"] = [{"layer": columns}, {"layer": lines}]
    base["resolve"] = {"scale": {"y": "independent"}}
    return base


def _count(field: str) -> dict[str, Any]:
    return {"field": field, "type": "quantitative", "format": ",d"}
