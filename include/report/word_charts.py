"""Native, editable Word charts.

python-pptx writes chart part and embedded workbook; here they are attached to a python-docx document.
"""

from __future__ import annotations

from pathlib import Path
from string import Template
from xml.sax.saxutils import quoteattr

from docx.document import Document as DocxDocument
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from lxml import etree
from pptx.chart.chart import Chart
from pptx.chart.data import CategoryChartData
from pptx.chart.xmlwriter import ChartXmlWriter
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION, XL_LEGEND_POSITION, XL_TICK_MARK
from pptx.oxml import parse_xml
from pptx.util import Pt

from include.report.charts import COLOURS, ChartSpec, Series

_C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = {"bars": XL_CHART_TYPE.BAR_CLUSTERED, "columns": XL_CHART_TYPE.COLUMN_CLUSTERED}
_AXES = ("50010", "50020")
_EMU_PER_MM = 36000
BESIDE_HEIGHT_MM = 50
_TEMPLATES = Path(__file__).parent / "templates"


def add_chart(
    document: DocxDocument, spec: ChartSpec, number: int, size_mm: tuple[float, float], *, is_small: bool = False
) -> str:
    """Put ``spec`` into the document as chart ``number`` (1-based, unique); returns the run that draws it in line.

    Args:
        size_mm: width and height.
        is_small: in smaller type.
    """
    package = document.part.package
    assert package is not None
    space, workbook = chart_xml(spec, is_small=is_small)
    chart_part = Part(PackURI(f"/word/charts/chart{number}.xml"), CONTENT_TYPE.DML_CHART, b"", package)
    book = Part(PackURI(f"/word/embeddings/chart{number}.xlsx"), CONTENT_TYPE.SML_SHEET, workbook, package)
    external = etree.SubElement(space, f"{{{_C}}}externalData")
    external.set(f"{{{_R}}}id", chart_part.relate_to(book, RELATIONSHIP_TYPE.PACKAGE))
    etree.SubElement(external, f"{{{_C}}}autoUpdate").set("val", "0")
    # `blob` is what python-docx writes out for a part it does not understand.
    chart_part._blob = etree.tostring(space, xml_declaration=True, encoding="UTF-8", standalone=True)
    relation = document.part.relate_to(chart_part, RELATIONSHIP_TYPE.CHART)
    return (
        '<w:r><w:drawing><wp:inline distT="0" distB="0" distL="0" distR="0">'
        f'<wp:extent cx="{int(size_mm[0] * _EMU_PER_MM)}" cy="{int(size_mm[1] * _EMU_PER_MM)}"/>'
        f'<wp:docPr id="{1000 + number}" name="chart{number}" descr={quoteattr(spec.caption)}/><wp:cNvGraphicFramePr/>'
        f'<a:graphic><a:graphicData uri="{_C}"><c:chart r:id="{relation}"/></a:graphicData></a:graphic>'
        "</wp:inline></w:drawing></w:r>"
    )


def height_mm(spec: ChartSpec) -> float:
    """Height of a chart over the whole line, by the number of its bars."""
    if spec.shape == "bars":
        return max(_edges_mm(spec) + (1.5 + 2.6 * len(spec.series)) * len(spec.categories), 26)
    return 42 + _edges_mm(spec)


def smallest_mm(spec: ChartSpec) -> float:
    """The least height at which the names of the bars do not touch, in smaller type."""
    return _edges_mm(spec) + (height_mm(spec) - _edges_mm(spec)) * (0.8 if spec.shape == "bars" else 1)


def _edges_mm(spec: ChartSpec) -> float:
    """Over and under the bars; with the legend."""
    return 10 if len(spec.series) > 1 else 4


def chart_xml(spec: ChartSpec, *, is_small: bool = False) -> tuple[etree._Element, bytes]:
    """(``c:chartSpace`` element without external data, bytes of its workbook) of one chart."""
    data = CategoryChartData()
    data.categories = spec.ticks
    for one in spec.series:
        data.add_series(one.name, one.values, number_format(one))
    space = parse_xml(ChartXmlWriter(_TYPES[spec.shape], data).xml.encode())
    chart = Chart(space, None)
    chart.font.size = Pt(8 if is_small else 9)
    _no_frame(space)
    chart.has_title = False
    chart.has_legend = len(spec.series) > 1
    if chart.has_legend:
        chart.legend.position = XL_LEGEND_POSITION.BOTTOM
        chart.legend.include_in_layout = False
    plot = chart.plots[0]
    plot.gap_width = 60
    plot.overlap = 0
    plot.vary_by_categories = False
    for drawn, one, colour in zip(plot.series, spec.series, COLOURS, strict=False):
        drawn.format.fill.solid()
        drawn.format.fill.fore_color.rgb = RGBColor.from_string(colour)
        labels = drawn.data_labels
        labels.number_format, labels.number_format_is_linked = number_format(one), False
        labels.position = XL_LABEL_POSITION.OUTSIDE_END
        labels.show_value = True
        labels.font.size = Pt(8 if is_small or len(spec.series) > 1 else 9)
    values = chart.value_axis
    values.minimum_scale = 0
    values.has_major_gridlines = spec.shape == "columns"
    if values.has_major_gridlines:
        values.major_gridlines.format.line.color.rgb = RGBColor(0xD9, 0xD9, 0xD9)
    values.tick_labels.number_format = number_format(spec.series[0])
    values.tick_labels.number_format_is_linked = False
    values.format.line.fill.background()
    chart.category_axis.major_tick_mark = XL_TICK_MARK.NONE
    chart.category_axis.format.line.color.rgb = RGBColor(0x80, 0x80, 0x80)
    chart.category_axis.tick_labels.font.size = Pt(8 if is_small else 9)
    if spec.shape == "bars":
        # Bars grow from the bottom: turn the order so that the first stands on top, and hide the number axis,
        # which the labels make redundant.
        chart.category_axis.reverse_order = True
        values.visible = False
    if spec.axis_tops:
        values.maximum_scale = spec.axis_tops[0]
    if is_small:
        _every_name(space)
    _lines(space, spec)
    _east_asian_font(space)
    return space, bytes(data._workbook_writer.xlsx_blob)


def _every_name(space: etree._Element) -> None:
    """Programs leave out names of bars that stand close, unless told to leave out none and to turn none."""
    axis = space.find(f".//{{{_C}}}catAx")
    body = axis.find(f"{{{_C}}}txPr/{{{_A}}}bodyPr")
    body.set("rot", "0")
    body.set("vert", "horz")
    skip = etree.Element(f"{{{_C}}}tickLblSkip")
    skip.set("val", "1")
    axis.find(f"{{{_C}}}noMultiLvlLbl").addprevious(skip)


def number_format(series: Series) -> str:
    """The Excel format of a series' values, which are as printed."""
    digits = "#,##0" + ("." + "0" * series.places if series.places else "")
    return f'{digits}"%"' if series.is_percent else digits


def _east_asian_font(space: etree._Element) -> None:
    """Names the document's body face for Chinese labels; python-pptx sets only the Latin one."""
    for properties in space.iter(f"{{{_A}}}defRPr"):
        for tag, face in (("latin", "Times New Roman"), ("ea", "仿宋_GB2312")):
            if properties.find(f"{{{_A}}}{tag}") is None:
                etree.SubElement(properties, f"{{{_A}}}{tag}").set("typeface", face)


def _no_frame(space: etree._Element) -> None:
    """No rounded corners (the default where the element is absent) and no frame around the chart."""
    corners = etree.Element(f"{{{_C}}}roundedCorners")
    corners.set("val", "0")
    drawn = space.find(f"{{{_C}}}chart")
    before = space.find(f"{{{_C}}}date1904")
    if before is not None:
        before.addnext(corners)
    else:
        space.insert(0, corners)
    look = etree.Element(f"{{{_C}}}spPr")
    etree.SubElement(look, f"{{{_A}}}noFill")
    etree.SubElement(etree.SubElement(look, f"{{{_A}}}ln"), f"{{{_A}}}noFill")
    drawn.addnext(look)


def _lines(space: etree._Element, spec: ChartSpec) -> None:
    """Move the series drawn as lines into a line chart of their own; python-pptx writes no combined charts."""
    area = space.find(f".//{{{_C}}}plotArea")
    bars = area.find(f"{{{_C}}}barChart")
    for at, (series, drawn) in enumerate(zip(spec.series, bars.findall(f"{{{_C}}}ser"), strict=True)):
        if series.draw != "line":
            continue
        bars.remove(drawn)
        for tag in ("invertIfNegative", "dLbls", "spPr"):
            for old in drawn.findall(f"{{{_C}}}{tag}"):
                drawn.remove(old)
        look, hidden, right = _line_parts(COLOURS[at], number_format(series), spec.line_range)
        place = drawn.index(drawn.find(f"{{{_C}}}tx")) + 1
        for offset, child in enumerate(list(look)):
            drawn.insert(place + offset, child)
        etree.SubElement(drawn, f"{{{_C}}}smooth").set("val", "0")
        line = etree.Element(f"{{{_C}}}lineChart")
        etree.SubElement(line, f"{{{_C}}}grouping").set("val", "standard")
        etree.SubElement(line, f"{{{_C}}}varyColors").set("val", "0")
        line.append(drawn)
        etree.SubElement(line, f"{{{_C}}}marker").set("val", "1")
        own = [one.get("val") for one in bars.findall(f"{{{_C}}}axId")]
        for axis in _AXES if series.is_second else own:
            etree.SubElement(line, f"{{{_C}}}axId").set("val", axis)
        area.findall(f"{{{_C}}}barChart")[-1].addnext(line)
        if series.is_second:
            area.find(f"{{{_C}}}valAx").addnext(hidden)
            hidden.addnext(right)


def _line_parts(colour: str, form: str, ends: tuple[float, float]) -> list[etree._Element]:
    """Look of a line, and the two axes of the second scale."""
    template = Template((_TEMPLATES / "second_axis.xml").read_text(encoding="utf-8"))
    words = {"colour": colour, "low": f"{ends[0]:.4f}", "top": f"{ends[1]:.4f}", "format": form.replace('"', "&quot;")}
    filled = template.substitute(words)
    return list(etree.fromstring(filled.encode(), etree.XMLParser(remove_blank_text=True)))
