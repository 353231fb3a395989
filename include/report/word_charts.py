"""Native, editable Word charts.

python-pptx writes chart part and embedded workbook; here they are attached to a python-docx document.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

from docx.document import Document as DocxDocument
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml as parse_word_xml
from docx.text.paragraph import Paragraph
from lxml import etree
from pptx.chart.chart import Chart
from pptx.chart.data import CategoryChartData
from pptx.chart.xmlwriter import ChartXmlWriter
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION, XL_LEGEND_POSITION, XL_TICK_MARK
from pptx.oxml import parse_xml
from pptx.util import Pt

from include.report.charts import COLOUR, LINE_COLOUR, ChartSpec, axis_tops

_C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = {
    "bar": XL_CHART_TYPE.BAR_CLUSTERED,
    "column": XL_CHART_TYPE.COLUMN_CLUSTERED,
    "combo": XL_CHART_TYPE.COLUMN_CLUSTERED,
}
_EMU_PER_MM = 36000
_WIDE_MM = 100
_BESIDE_HEIGHT_MM = 50
_TEMPLATES = Path(__file__).parent / "templates"


def add_chart(document: DocxDocument, paragraph: Paragraph, spec: ChartSpec, number: int, width_mm: float) -> None:
    """Place ``spec`` inline in ``paragraph`` as chart ``number`` (1-based, unique in the document)."""
    package = document.part.package
    assert package is not None
    space, workbook = chart_xml(spec)
    chart_part = Part(PackURI(f"/word/charts/chart{number}.xml"), CONTENT_TYPE.DML_CHART, b"", package)
    book = Part(PackURI(f"/word/embeddings/chart{number}.xlsx"), CONTENT_TYPE.SML_SHEET, workbook, package)
    external = etree.SubElement(space, f"{{{_C}}}externalData")
    external.set(f"{{{_R}}}id", chart_part.relate_to(book, RELATIONSHIP_TYPE.PACKAGE))
    etree.SubElement(external, f"{{{_C}}}autoUpdate").set("val", "0")
    # `blob` is what python-docx writes out for a part it does not understand.
    chart_part._blob = etree.tostring(space, xml_declaration=True, encoding="UTF-8", standalone=True)
    relation = document.part.relate_to(chart_part, RELATIONSHIP_TYPE.CHART)
    height = _height_mm(spec) if width_mm > _WIDE_MM else _BESIDE_HEIGHT_MM
    drawing = (
        '<w:drawing xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
        ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
        f' xmlns:a="{_A}" xmlns:c="{_C}" xmlns:r="{_R}">'
        '<wp:inline distT="0" distB="0" distL="0" distR="0">'
        f'<wp:extent cx="{int(width_mm * _EMU_PER_MM)}" cy="{int(height * _EMU_PER_MM)}"/>'
        f'<wp:docPr id="{1000 + number}" name="chart{number}" descr=""/><wp:cNvGraphicFramePr/>'
        f'<a:graphic><a:graphicData uri="{_C}"><c:chart r:id="{relation}"/></a:graphicData></a:graphic>'
        "</wp:inline></w:drawing>"
    )
    element = parse_word_xml(drawing)
    element[0][1].set("descr", spec.title)
    paragraph.add_run()._r.append(element)


def _height_mm(spec: ChartSpec) -> float:
    return 8 + 4.6 * len(spec.categories) if spec.kind == "bar" else 50


def chart_xml(spec: ChartSpec) -> tuple[etree._Element, bytes]:
    """(``c:chartSpace`` element without external data, bytes of its workbook) of one chart."""
    data = CategoryChartData(number_format="#,##0")
    data.categories = spec.categories
    data.add_series(
        f"{spec.title}（{spec.unit}）" if spec.kind != "combo" else f"当期生产缺工（{spec.unit}）", spec.values
    )
    if spec.kind == "combo":
        data.add_series(f"{spec.line_title}（%）", [None if one is None else float(one) for one in spec.line], "0.0")
    space = parse_xml(ChartXmlWriter(_TYPES[spec.kind], data).xml.encode())
    chart = Chart(space, None)
    chart.font.size = Pt(9)
    _east_asian_font(space)
    _no_frame(space)
    chart.has_title = False
    chart.has_legend = spec.kind == "combo"
    if chart.has_legend:
        chart.legend.position = XL_LEGEND_POSITION.BOTTOM
        chart.legend.include_in_layout = False
    plot = chart.plots[0]
    plot.gap_width = 60
    plot.vary_by_categories = False
    fill = plot.series[0].format.fill
    fill.solid()
    fill.fore_color.rgb = RGBColor.from_string(COLOUR)
    plot.has_data_labels = True
    plot.data_labels.number_format = "#,##0"
    plot.data_labels.number_format_is_linked = False
    plot.data_labels.position = XL_LABEL_POSITION.OUTSIDE_END
    plot.data_labels.show_value = True
    plot.data_labels.font.size = Pt(9)
    values = chart.value_axis
    values.minimum_scale = 0
    values.has_major_gridlines = spec.kind != "bar"
    if values.has_major_gridlines:
        values.major_gridlines.format.line.color.rgb = RGBColor(0xD9, 0xD9, 0xD9)
    values.tick_labels.number_format = "#,##0"
    values.tick_labels.number_format_is_linked = False
    values.format.line.fill.background()
    chart.category_axis.major_tick_mark = XL_TICK_MARK.NONE
    chart.category_axis.format.line.color.rgb = RGBColor(0x80, 0x80, 0x80)
    if spec.kind == "bar":
        # Bars grow from the bottom: turn the order so that the largest stands on top, and hide the number axis,
        # which the labels make redundant.
        chart.category_axis.reverse_order = True
        values.visible = False
    if spec.kind == "combo":
        columns_top, line_top = axis_tops(spec)
        values.maximum_scale = columns_top
        _second_axis(space, line_top)
    return space, data_workbook(data)


def data_workbook(data: CategoryChartData) -> bytes:
    return bytes(data._workbook_writer.xlsx_blob)


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


def _second_axis(space: etree._Element, top: float) -> None:
    """Move the second series into a line on its own axis; python-pptx writes no combined charts."""
    area = space.find(f".//{{{_C}}}plotArea")
    bars = area.find(f"{{{_C}}}barChart")
    series = bars.findall(f"{{{_C}}}ser")[1]
    bars.remove(series)
    for tag in ("invertIfNegative", "dLbls", "spPr"):
        for old in series.findall(f"{{{_C}}}{tag}"):
            series.remove(old)
    template = Template((_TEMPLATES / "second_axis.xml").read_text(encoding="utf-8"))
    look, hidden, right = etree.fromstring(
        template.substitute(colour=LINE_COLOUR, top=top).encode(), etree.XMLParser(remove_blank_text=True)
    )
    at = series.index(series.find(f"{{{_C}}}tx")) + 1
    for offset, child in enumerate(list(look)):
        series.insert(at + offset, child)
    etree.SubElement(series, f"{{{_C}}}smooth").set("val", "0")
    line = etree.Element(f"{{{_C}}}lineChart")
    etree.SubElement(line, f"{{{_C}}}grouping").set("val", "standard")
    etree.SubElement(line, f"{{{_C}}}varyColors").set("val", "0")
    line.append(series)
    etree.SubElement(line, f"{{{_C}}}marker").set("val", "1")
    for axis in ("50010", "50020"):
        etree.SubElement(line, f"{{{_C}}}axId").set("val", axis)
    bars.addnext(line)
    value_axis = area.find(f"{{{_C}}}valAx")
    value_axis.addnext(hidden)
    hidden.addnext(right)
