"""One self-contained HTML page of a run, a study or several: the numbers first, then every notebook in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from causalkit.runs.page import notebook_html
from causalkit.runs.parameters import read_notebook
from causalkit.runs.results import OutputError, write_text
from causalkit.runs.run import Run, find_runs

__all__ = ["TIMES", "shown", "studies", "time_rows", "write_report"]

TIMES = ["notebook", "verdict", "kernel start", "all cells", "slowest cell", "total"]
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "Liberation Sans", Arial, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 60rem; margin: 0 auto; padding: 1.5rem; overflow-wrap: anywhere; }
h1, h2, h3, h4 { line-height: 1.25; margin: 1.8em 0 .5em; } h1 { margin-top: 0; }
section.run { border-top: 3px solid #0072b2; margin-top: 3rem; } section.run > h2 { margin-top: .8em; }
a[href] { color: #00507d; } nav ul { margin: .2em 0; } nav > ul > li { margin-bottom: .4em; }
table { border-collapse: collapse; margin: 1em 0; font-size: .9rem; overflow-wrap: normal; }
caption { text-align: left; font-weight: bold; }
th, td { border-bottom: 1px solid #c8c8c8; padding: .25em .7em .25em 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid #555; } .dataframe th, .dataframe td { padding-left: .7em; }
.dataframe, .dataframe th, .dataframe td { border-left: 0; border-right: 0; border-top: 0; }
.value, .truth, .seconds { white-space: nowrap; } .output { overflow-x: auto; }
.value, .truth, .seconds, .dataframe td { text-align: right; font-variant-numeric: tabular-nums; }
pre, code { font: .85rem/1.45 "DejaVu Sans Mono", Consolas, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5em 0; padding: .5em .8em; background: #f5f5f5; }
pre.stderr { background: #fff6dd; } pre.error { background: #fdf1ea; }
pre.error, .broken { border-left: 4px solid #b03a00; } .broken { padding-left: .8em; }
.failure { border: 2px solid #b03a00; padding: .6em 1em; } .note { color: #555; font-style: italic; }
.cell { margin: .8em 0; } details { margin: .4em 0; } summary { cursor: pointer; color: #444; }
.cell summary { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.cell details[open] > summary code { display: none; }
figure { margin: .8em 0; } img { max-width: 100%; height: auto; } .display { display: block; margin: .8em 2em; }
blockquote { border-left: 3px solid #999; margin-left: 0; padding-left: 1em; }
dt { font-weight: bold; } dd { margin: 0 0 .4em 1em; }
@media print { body { max-width: none; font-size: 11pt; padding: 0; } section.run { break-before: page; }
  figure, table, pre { break-inside: avoid; } a { color: inherit; } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title><style>{{ style|safe }}</style></head><body>
{% macro table(caption, columns, rows, number="") %}
<table>{% if caption %}<caption>{{ caption }}</caption>{% endif %}
<thead><tr>{% for c in columns %}
<th scope="col" class="{{ number if number and loop.index > 2 else c }}">{{ c }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}<tr>{% for v in row %}
<td class="{{ number if number and loop.index > 2 else columns[loop.index0] }}">
{{- shown(v) }}</td>{% endfor %}</tr>{% endfor %}</tbody></table>
{% endmacro %}
<h1>{{ title }}</h1>
<p>{{ runs|selectattr("ok")|list|length }} of {{ runs|length }} notebooks ran to the end;
{{ runs[0].record.started[:19]|replace("T", " ") }} to {{ runs[-1].record.finished[:19]|replace("T", " ") }} UTC.</p>
{% for run in runs if not run.ok %}<p class="failure"><b>{{ run.notebook }}: {{ run.verdict }}.</b> {{ run.why }}</p>
{% endfor %}
<h2>Results</h2>
{% for name, group in studies %}
{% if name %}<h3>{{ name }}</h3>{% endif %}
{% for run in group if run.ok %}{{ table(run.notebook, run.metrics.columns, run.metrics.astype("object").to_numpy()) }}
{% else %}<p>None.</p>{% endfor %}
{% endfor %}
<h2>Times, in seconds</h2>
{% for name, group in studies %}{{ table(name, times, time_rows(group), "seconds") }}{% endfor %}
<h2>Where</h2>
{% set first = runs[0].record %}
<p>{{ first.machine.os }}, {{ first.machine.cpus }} CPUs, threads in each run: {{ first.machine.threads }};
{% if first.git %}commit {{ first.git.commit[:12] }}{{ ", with changes that are not committed" if first.git.dirty }}
{%- else %}not under git{% endif %}.</p>
<details><summary>Versions</summary>{{ table("", ["package", "version"], first.versions.items()) }}</details>
<nav aria-label="Contents"><h2>Contents</h2><ul>
{% for run, id, body, headings, failed in sections %}
<li><a href="#{{ id }}">{{ run.title }}</a>{{ "" if run.ok else " (" ~ run.verdict ~ ")" }}
<ul>{% for anchor, text in headings %}<li><a href="#{{ anchor }}">{{ text }}</a></li>{% endfor %}</ul></li>
{% endfor %}</ul></nav>
{% for run, id, body, headings, failed in sections %}
<section class="run" id="{{ id }}"><h2>{{ run.title }}</h2>
{% if not run.ok %}<p class="failure"><b>{{ run.verdict }}.</b> {{ run.why }}
{% if failed is not none %}<a href="#{{ id }}-failed">See the cell.</a>{% endif %}</p>{% endif %}
<dl><dt>Parameters</dt><dd>{% for name, value in run.record.parameters.items() %}
{{ name }} = {{ value.__repr__() }}{{ "" if loop.last else ", " }}{% endfor %}</dd>
<dt>Run again</dt><dd><code>{{ run.record.command }}</code></dd></dl>
{{ body|safe }}
</section>
{% endfor %}
</body></html>
"""


def write_report(directory: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of all runs in a directory.

    Args:
        directory: A run, a study, or a directory of studies.
        path: Where to; None for report.html in that directory.

    Returns:
        The path of the page; it loads nothing, so it can be mailed or printed.

    Raises:
        ValueError: The directory holds no run, or an executed notebook cannot be read.
        OutputError: The page cannot be written.
    """
    from jinja2 import Environment
    from pygments.formatters import HtmlFormatter

    runs = find_runs(directory)
    target = Path(directory, "report.html") if path is None else Path(path)
    template = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    page = template.render(
        title="causalkit: " + ", ".join(name or group[0].notebook for name, group in studies(runs)),
        style=STYLE + HtmlFormatter().get_style_defs(".highlight"),
        runs=runs,
        studies=studies(runs),
        sections=[_section(run, f"run{i}") for i, run in enumerate(runs)],
        times=TIMES,
        time_rows=time_rows,
        shown=shown,
    )
    try:
        write_text(target, page)
    except OSError as error:
        raise OutputError(f"{target} cannot be written ({error.strerror}): free some space, or move it") from error
    return target.absolute()


def studies(runs: list[Run]) -> list[tuple[str, list[Run]]]:
    """The runs by study, "" for runs outside one, in the order of their start."""
    names = dict.fromkeys(run.record["study"] or "" for run in runs)
    return [(name, [run for run in runs if (run.record["study"] or "") == name]) for name in names]


def time_rows(runs: list[Run]) -> list[list[Any]]:
    """One row a run, with the columns TIMES, in seconds; then the sum."""
    rows: list[list[Any]] = []
    for run in runs:
        times, cells = run.record["timings"], [cell["seconds"] for cell in run.record["timings"]["cells"]]
        numbers = (times["kernel_start"], sum(cells), max(cells, default=None), times["total"])
        rows.append([run.notebook, run.verdict, *(None if n is None else f"{n:.1f}" for n in numbers)])
    if len(runs) > 1:
        rows.append(["together", "", None, None, None, f"{sum(run.record['timings']['total'] for run in runs):.1f}"])
    return rows


def shown(value: Any) -> str:
    """A value as a table shows it: four digits, nothing for a missing one."""
    if value is None or value != value:  # NaN
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _section(run: Run, name: str) -> tuple[Run, str, str, list[tuple[str, str]], int | None]:
    """A run with its id, its notebook as HTML, the headings in it, the position of the failing cell."""
    notebook = read_notebook(run.directory / "executed.ipynb")
    failure = run.record["failure"]
    failed = None if failure is None else failure["cell"]
    if failed is not None:  # the record counts the source's cells, and papermill has put one in
        failed += sum("injected-parameters" in c.metadata.get("tags", []) for c in notebook.cells[: failed + 1])
    body, headings = notebook_html(notebook, name, failed)
    return run, name, body, headings, failed
