"""Charts of the HTML page, drawn by Vega-Lite: SVG made beforehand for paper and for browsers without script, and the
live charts' specifications, whose data the page fills in."""

from __future__ import annotations

import re
from typing import Any

import vl_convert

from include.report.charts import COLOURS, ChartSpec, Series

FACES = "PingFang SC, Microsoft YaHei, Noto Sans CJK SC, Source Han Sans SC, sans-serif"
INK = "#1f2933"
VEGA_LITE = "6.4"


def chart_svg(spec: ChartSpec, width: int) -> str:
    """``<svg>`` of one chart, about ``width`` CSS pixels wide. Ids are unique by chart and width."""
    svg = vl_convert.vegalite_to_svg(vega_lite(spec, width), vl_version=VEGA_LITE)
    prefix = f"{spec.key}-{width}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    # The figure element around it names the chart; the drawing itself is silent to screen readers.
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def vega_lite(spec: ChartSpec, width: int) -> dict[str, Any]:
    """The Vega-Lite specification: lying bars, or columns with lines, on a second axis where the unit is another."""
    narrow = width < 480
    size = 11 if narrow else 13
    base: dict[str, Any] = {
        "data": {"values": _rows(spec)},
        "width": width,
        "height": _height(spec, narrow),
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 2, "right": 32 if spec.shape == "bars" else 4, "top": 8, "bottom": 4},
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
            "legend": {"orient": "bottom", "title": None, "labelFontSize": size, "labelColor": INK},
            "view": {"stroke": None},
            "text": {"font": FACES, "fontSize": size, "fill": INK},
        },
    }
    if spec.shape == "bars":
        category = {
            "field": "name",
            "type": "nominal",
            "sort": None,
            "axis": {"title": None, "domain": False, "labelPadding": 6},
        }
        base["layer"] = [_layer(spec, one, category) for one in range(len(spec.series))]
        return base
    category = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": None,
            "labelAngle": -35 if narrow and len(spec.categories) > 4 else 0,
            "labelOverlap": len(spec.categories) > 7,
            "labelLimit": 0,
        },
    }
    base["layer"] = [_layer(spec, one, category) for one in range(len(spec.series))]
    if spec.axis_tops:
        base["resolve"] = {"scale": {"y": "independent"}}
    return base


def _rows(spec: ChartSpec) -> list[dict[str, Any]]:
    return [
        {"name": name, "series": one.name, "value": None if value is None else float(value)}
        for one in spec.series
        for name, value in zip(spec.categories, one.values, strict=True)
    ]


def _height(spec: ChartSpec, narrow: bool) -> int:
    if spec.shape == "bars":
        return (14 + 16 * len(spec.series)) * len(spec.categories) + 20
    return 240 if narrow else 300


def _layer(spec: ChartSpec, at: int, category: dict[str, Any]) -> dict[str, Any]:
    """Marks and numbers of one series."""
    series = spec.series[at]
    filled = [one.name for one in spec.series if one.draw == "fill"]
    lies = spec.shape == "bars"
    value: dict[str, Any] = {"field": "value", "type": "quantitative", "axis": None}
    if not lies:
        tops = spec.axis_tops
        axis = {"title": series.name if series.is_second else None, "grid": not series.is_second, "tickCount": 5}
        value |= {"axis": {**axis, "format": f",.{series.places}f", "titleColor": f"#{COLOURS[at]}"}}
        value |= {"scale": {"domain": [0, tops[series.is_second]]}} if tops else {}
    place = {"y": category, "x": value} if lies else {"x": category, "y": value}
    if len(filled) > 1 and series.draw == "fill":
        place["yOffset" if lies else "xOffset"] = {"field": "series", "sort": filled, "scale": {"domain": filled}}
    colour: dict[str, Any] = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": [one.name for one in spec.series], "range": [f"#{one}" for one in COLOURS]},
        "legend": {} if len(spec.series) > 1 else None,
    }
    label = {"dx": 4, "align": "left"} if lies else {"dy": -11 if series.draw == "line" else -7}
    return {
        "transform": [{"filter": f"datum.series === '{series.name}'"}],
        "layer": [
            {"mark": _mark(series, lies), "encoding": {**place, "color": colour}},
            {
                "transform": [{"filter": "isValid(datum.value)"}],
                "mark": {"type": "text", **label, "fill": f"#{COLOURS[at]}" if series.draw == "line" else INK},
                "encoding": {
                    **place,
                    "text": {"field": "value", "type": "quantitative", "format": f",.{series.places}f"},
                },
            },
        ],
    }


def _mark(series: Series, lies: bool) -> dict[str, Any]:
    if series.draw == "line":
        points = {"size": 50, "filled": True}
        return {"type": "line", "strokeWidth": 2.5, "invalid": "break-paths-show-domains", "point": points}
    return {"type": "bar", "height": {"band": 0.68}} if lies else {"type": "bar", "width": {"band": 0.5}}


def live_chart(shape: str) -> dict[str, Any]:
    """A live chart without data: dataset ``rows`` of ``name``, ``value``, ``label`` (as printed), ``tone``, ``key``.

    ``bars`` grows with its rows. ``columns`` has the height of its box and may carry a line on an axis of its own
    (``line``, ``line_label``); ``top`` and ``line_top`` are the axes' ends, which keep the line above the columns.
    """
    colour = {
        "field": "tone",
        "type": "nominal",
        "scale": {"domain": ["plain", "chosen"], "range": [f"#{COLOURS[0]}", "#6b93bd"]},
        "legend": None,
    }
    text = {"field": "label", "type": "nominal"}
    pointer = {"cursor": "pointer", "tooltip": {"signal": "datum.name + ' ' + datum.label"}}
    row = {"name": "", "value": 0, "label": "", "line": None, "line_label": "", "tone": "plain", "key": ""}
    base: dict[str, Any] = {
        "data": {"name": "rows"},
        "datasets": {"rows": [row]},
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": 600,
        "background": "transparent",
        "config": {
            "font": FACES,
            "axis": {"labelFontSize": 13, "labelColor": INK, "domainColor": "#9aa5b1", "ticks": False},
            "view": {"stroke": None},
            "text": {"font": FACES, "fontSize": 13, "fill": INK},
        },
    }
    value: dict[str, Any] = {"field": "value", "type": "quantitative", "stack": None, "axis": None}
    if shape == "bars":
        axis = {"title": None, "domain": False, "labelPadding": 6, "labelLimit": {"expr": "width * 0.6"}}
        name: dict[str, Any] = {"field": "name", "type": "nominal", "sort": None, "axis": axis}
        place = {"y": name, "x": value}
        return base | {
            "height": {"step": 30},
            "padding": {"left": 2, "right": 72, "top": 4, "bottom": 4},
            "layer": [
                {"mark": {"type": "bar", "height": {"band": 0.68}, **pointer}, "encoding": {**place, "color": colour}},
                {"mark": {"type": "text", "align": "left", "dx": 4}, "encoding": {**place, "text": text}},
            ],
        }
    crowded = "width < 90 * length(domain('x'))"
    axis = {
        "title": None,
        "labelAngle": {"expr": f"{crowded} ? -40 : 0"},
        "labelAlign": {"expr": f"{crowded} ? 'right' : 'center'"},
        "labelBaseline": {"expr": f"{crowded} ? 'middle' : 'top'"},
        "labelLimit": 0,
    }
    name = {"field": "name", "type": "nominal", "sort": None, "axis": axis}
    place = {"x": name, "y": value | {"scale": {"domain": [0, {"expr": "top"}]}}}
    rate = {"field": "line", "type": "quantitative", "axis": None, "scale": {"domain": [0, {"expr": "line_top"}]}}
    over = {"x": name, "y": rate}
    line_colour = f"#{COLOURS[1]}"
    points = {"size": 50, "filled": True, "color": line_colour}
    line = {"type": "line", "strokeWidth": 2.5, "color": line_colour, "invalid": "break-paths-show-domains"}
    has_line = [{"filter": "isValid(datum.line)"}]
    return base | {
        "params": [{"name": "top", "value": 1}, {"name": "line_top", "value": 1}],
        "height": 260,
        "padding": {"left": 2, "right": 4, "top": 22, "bottom": 4},
        "layer": [
            {
                "layer": [
                    {
                        "mark": {"type": "bar", "width": {"band": 0.5}, **pointer},
                        "encoding": {**place, "color": colour},
                    },
                    {"mark": {"type": "text", "dy": -8}, "encoding": {**place, "text": text}},
                ]
            },
            {
                "layer": [
                    {"mark": {**line, "point": points}, "encoding": over},
                    {
                        "transform": has_line,
                        "mark": {"type": "text", "dy": -12, "fill": line_colour},
                        "encoding": {**over, "text": {"field": "line_label", "type": "nominal"}},
                    },
                ]
            },
        ],
        "resolve": {"scale": {"y": "independent"}},
    }
