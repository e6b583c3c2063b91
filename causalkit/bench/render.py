"""The parts of a sweep's report, and the same parts as an HTML page and as Markdown.

The page loads nothing and runs no script; a long table is folded on the screen and open in print.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from causalkit.bench.figures import Picture
from causalkit.runs.report import STYLE

__all__ = ["Block", "Cell", "Code", "Section", "Table", "Words", "to_html", "to_markdown"]

Cell = str | tuple[str, str]  # a text, or a text with a smaller one behind it

MORE_STYLE = """
section { border-top: 3px solid #0072b2; margin-top: 2.5rem; } section > h2 { margin-top: .8em; }
.wide { overflow-x: auto; } .number { text-align: right; font-variant-numeric: tabular-nums; }
td small { color: #555; white-space: nowrap; } td.number, .good, .bad { white-space: nowrap; }
.stacked td small { display: block; } tr.group td { border-top: 2px solid #888; }
caption { padding: .4em 0; } .foot { color: #444; font-size: .85rem; margin-top: -.6em; max-width: 46rem; }
figcaption { font-size: .9rem; max-width: 46rem; } summary { margin: .6em 0; }
.good::before { content: "\\2713\\00a0"; } .bad::before { content: "\\2717\\00a0"; } .bad { font-weight: bold; }
@media (max-width: 48rem) { td small { display: block; } }
@media print { .wide { overflow: visible; } table { font-size: 8pt; } td, th { padding-right: .5em; }
  table.long { break-inside: auto; } tr, figure { break-inside: avoid; } h2, h3, caption { break-after: avoid; }
  td small { display: block; } th, td { overflow-wrap: break-word; } .foot { margin-top: -.3em; }
  details::details-content { content-visibility: visible; block-size: auto; } summary { display: none; } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title><style>{{ style|safe }}</style></head><body>
{% macro table(block) %}
<div class="wide"><table class="{{ "stacked" if block.stacked }} {{ "long" if block.rows|length > 24 }}">
<caption>{{ block.caption }}</caption>
<thead><tr>{% for c in block.columns %}
<th scope="col"{% if loop.index0 in block.numbers %} class="number"{% endif %}>{{ c }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in block.rows %}{% set r = loop.index0 %}
<tr{% if r in block.groups %} class="group"{% endif %}>
{% for cell in row %}{% set main = cell if cell is string else cell[0] %}
<td{% if loop.index0 in block.numbers %} class="number"{% endif %}>
{%- if (r, loop.index0) in block.bold %}<b>{{ main }}</b>
{%- elif main in marks %}<span class="{{ marks[main] }}">{{ main }}</span>{% else %}{{ main }}{% endif %}
{%- if cell is not string and cell[1] %} <small>{{ cell[1] }}</small>{% endif %}</td>
{% endfor %}</tr>{% endfor %}</tbody></table></div>
{% if block.note %}<p class="foot">{{ block.note }}</p>{% endif %}
{% endmacro %}
{% macro show(block) %}
{% if block.kind == "table" %}
{% if block.rows|length > block.fold %}<details><summary>{{ block.caption }}: {{ block.rows|length }} rows</summary>
{{ table(block) }}</details>{% else %}{{ table(block) }}{% endif %}
{% elif block.kind == "words" %}<p{% if block.alarm %} class="failure"{% endif %}>{{ block.text }}</p>
{% elif block.kind == "code" %}<pre><code>{{ block.text }}</code></pre>
{% else %}<figure><img alt="{{ block.title }}" src="data:image/svg+xml;base64,{{ coded(block.svg) }}">
<figcaption><b>{{ block.title }}.</b> {{ block.sentence }}</figcaption></figure>{% endif %}
{% endmacro %}
<h1>{{ title }}</h1>
{% for block in head %}{{ show(block) }}{% endfor %}
<nav aria-label="Contents"><h2>Contents</h2><ul>
{% for section in sections %}<li><a href="#{{ section.id }}">{{ section.title }}</a>
{%- if section.finding %}<br>{{ section.finding }}{% endif %}</li>
{% endfor %}</ul></nav>
{% for section in sections %}<section id="{{ section.id }}"><h2>{{ section.title }}</h2>
{% for block in section.blocks %}{{ show(block) }}{% endfor %}</section>
{% endfor %}
</body></html>
"""


@dataclass(frozen=True)
class Table:
    """Rows under a caption.

    numbers: right-aligned columns; bold: cells (row, column); groups: rows that begin one; fold: more rows than this
    are folded on the screen; stacked: the smaller text goes below the other.
    """

    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    numbers: frozenset[int] = frozenset()
    bold: frozenset[tuple[int, int]] = frozenset()
    groups: frozenset[int] = frozenset()
    fold: int = 60
    stacked: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Words:
    """A paragraph; `alarm` puts it into a frame."""

    text: str
    alarm: bool = False
    kind: str = field(default="words", init=False)


@dataclass(frozen=True)
class Code:
    """Lines for a shell."""

    text: str
    kind: str = field(default="code", init=False)


Block = Table | Words | Code | Picture


@dataclass(frozen=True)
class Section:
    """A part of the report with its title, its id in the page, and its result in a sentence for the contents."""

    id: str
    title: str
    finding: str
    blocks: list[Block]


def to_html(title: str, head: list[Block], sections: list[Section]) -> str:
    """The report as one self-contained page."""
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE)
    marks = {"match": "good", "no match": "bad", "better": "good", "worse": "bad"}
    return template.render(
        title=title, head=head, sections=sections, style=STYLE + MORE_STYLE, marks=marks,
        coded=lambda svg: base64.b64encode(svg.encode()).decode(),
    )  # fmt: skip


def to_markdown(title: str, head: list[Block], sections: list[Section]) -> str:
    """The report as Markdown: all tables and sentences; of a figure, its sentence."""
    parts = [f"# {_marked(title)}", *map(_block, head)]
    for section in sections:
        parts += [f"## {_marked(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Words):
        return f"**{_marked(block.text)}**" if block.alarm else _marked(block.text)
    if isinstance(block, Code):
        return f"```sh\n{block.text}\n```"
    if isinstance(block, Picture):
        return f"*{_marked(block.title)}.* {_marked(block.sentence)}"
    lines = [
        _row(list(block.columns)),
        _row(["--:" if i in block.numbers else "---" for i in range(len(block.columns))]),
    ]
    for r, row in enumerate(block.rows):
        cells = [cell if isinstance(cell, str) else " ".join(filter(None, cell)) for cell in row]
        cells = [_marked(cell) for cell in cells]
        lines.append(_row([f"**{cell}**" if (r, c) in block.bold else cell for c, cell in enumerate(cells)]))
    note = f"\n\n{_marked(block.note)}" if block.note else ""
    return f"**{_marked(block.caption)}**\n\n" + "\n".join(lines) + note


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _marked(text: str) -> str:
    """A text whose signs Markdown does not take for its own."""
    return re.sub(r"([\\`*<|])", r"\\\1", " ".join(text.split()))
