"""An executed notebook as HTML that needs nothing from outside: no script, no link that loads, no fonts."""

from __future__ import annotations

import base64
import html
import io
import re
from functools import lru_cache
from typing import Any

from causalkit.runs.verdict import WIDGET_VIEW, first_line

__all__ = ["Heading", "notebook_html"]

Heading = tuple[str, str]  # (id, text)
MATHS = re.compile(r"\$\$(.+?)\$\$|\$(?![\s$])([^$]+?)(?<![\s\\])\$(?!\d)", re.DOTALL)
DROPPED = [
    "script",
    "iframe",
    "object",
    "embed",
    "link",
    "meta",
    "base",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "video",
    "audio",
]
# What mathtext calls otherwise.
RENAMED = {
    r"\tfrac": r"\frac",
    r"\dfrac": r"\frac",
    r"\operatorname*": r"\operatorname",
    r"\lVert": r"\|",
    r"\rVert": r"\|",
    r"\coloneqq": ":=",
    ":=": r"\;{:}\!\!{=}\;",
    r"\text{": r"\mathrm{",
}
escape = html.escape


def notebook_html(notebook: Any, prefix: str, failed: int | None = None) -> tuple[str, list[Heading]]:
    """A notebook's cells as HTML, and its second-level headings.

    Args:
        notebook: As executed.
        prefix: Put before every id, so that several notebooks share a page.
        failed: Position of the failing cell in the executed notebook.
    """
    parts: list[str] = []
    headings: list[Heading] = []
    for at, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(_markdown(cell.source, prefix, headings))
        elif cell.cell_type == "code" and cell.source.strip():
            name = f' id="{prefix}-failed"' if at == failed else ""
            parts.append(
                f'<div class="cell{" broken" if at == failed else ""}"{name}>{_code(cell, at == failed)}</div>'
            )
    return "\n".join(parts), headings


def _code(cell: Any, is_open: bool) -> str:
    from nbconvert.filters.highlight import Highlight2HTML

    code = Highlight2HTML(pygments_lexer="python")(cell.source)
    line = f"<summary>code <code>{escape(first_line(cell))}</code></summary>"
    folded = f"<details{' open' if is_open else ''}>{line}{code}</details>"
    return folded + "".join(map(_output, cell.get("outputs", [])))


def _output(output: Any) -> str:
    from nbconvert.filters.ansi import ansi2html

    if output.output_type == "stream":
        return f'<pre class="{output.name}">{ansi2html(output.text)}</pre>'
    if output.output_type == "error":
        lines = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
        return f'<pre class="error">{ansi2html(lines)}</pre>'
    data = output.data
    if WIDGET_VIEW in data:
        return '<p class="note">An interactive control stands here in the notebook.</p>'
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in data:
            text = data[kind]
            coded = base64.b64encode(text.encode()).decode() if kind == "image/svg+xml" else "".join(text.split())
            about = (
                output.metadata.get("alt")
                or output.metadata.get(kind, {}).get("alt")
                or "Figure; the text beside it says what it shows"
            )
            return f'<figure><img alt="{escape(about)}" src="data:{kind};base64,{coded}"></figure>'
    if "text/html" in data:
        return f'<div class="output">{_clean(data["text/html"])}</div>'
    if "text/markdown" in data or "text/latex" in data:
        return f'<div class="output">{_markdown(data.get("text/markdown") or data["text/latex"], "output", [])}</div>'
    return f'<pre class="stdout">{ansi2html(data.get("text/plain", ""))}</pre>'


def _markdown(source: str, prefix: str, headings: list[Heading]) -> str:
    """Markdown as HTML: headings one level down, since the page has its own title; formulas as pictures."""
    from bs4 import BeautifulSoup
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    soup = BeautifulSoup(_clean(markdown2html_mistune(source)), "html.parser")
    for sign in soup.find_all("a", class_="anchor-link"):
        sign.decompose()
    for tag in soup.find_all(id=True):
        tag["id"] = f"{prefix}-{tag['id']}"
    for tag in soup.find_all("a", href=True):
        tag["href"] = f"#{prefix}-{str(tag['href'])[1:]}"  # only links within the page are left
    for text in soup.find_all(string=MATHS):
        if not text.find_parent(["code", "pre"]):
            text.replace_with(BeautifulSoup(MATHS.sub(_formula, escape(str(text), quote=False)), "html.parser"))
    for tag in soup.find_all(re.compile("^h[1-5]$")):
        if tag.name == "h2":
            headings.append((str(tag.get("id", "")), tag.get_text()))
        tag.name = f"h{int(tag.name[1]) + 1}"
    return str(soup)


def _clean(text: str) -> str:
    """HTML without scripts and handlers, and without anything that is loaded; a link's address becomes text."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(text, "html.parser")
    for tag in soup.find_all(DROPPED):
        tag.decompose()
    for tag in soup.find_all("style"):
        if re.search(r"url\(|@import", tag.get_text(), re.IGNORECASE):
            tag.decompose()
    for tag in soup.find_all(True):
        for name in list(tag.attrs):
            value = str(tag.attrs[name]).strip()
            loads = name in (
                "src",
                "href",
                "xlink:href",
                "srcset",
                "poster",
                "background",
                "action",
                "data",
                "formaction",
            )
            if (
                name.startswith("on")
                or (loads and not value.startswith(("#", "data:image/")))
                or "url(" in value.lower()
            ):
                if tag.name == "a" and value.startswith(("http://", "https://")) and tag.get_text().strip() != value:
                    tag.append(f" ({value})")
                del tag.attrs[name]
        if tag.name == "img" and not tag.get("src"):
            tag.replace_with(f"[picture: {tag.get('alt') or 'not stored in the notebook'}]")
    return str(soup)


def _formula(match: re.Match[str]) -> str:
    tex = html.unescape(match[1] or match[2]).strip()
    if not match[1]:
        return _drawn(tex)
    inner = re.sub(r"\\(begin|end)\{(aligned|align|gather|split)\*?\}", "", tex)
    lines = [tex] if inner == tex else inner.replace("&", "").split(r"\\")
    return "".join(f'<span class="display">{_drawn(line.strip())}</span>' for line in lines if line.strip())


def _drawn(tex: str) -> str:
    picture = _typeset(tex)
    if picture is None:
        return f'<code class="formula">{escape(tex)}</code>'
    source, depth = picture
    look = f'style="vertical-align:{-depth:.2f}pt" src="data:image/svg+xml;base64,{source}"'
    return f'<img class="formula" alt="{escape(tex)}" {look}>'


@lru_cache(maxsize=4096)
def _typeset(tex: str) -> tuple[str, float] | None:
    """A formula as (SVG in base64, depth below the baseline in points); None if matplotlib cannot set it."""
    import matplotlib as mpl
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    for name, known in RENAMED.items():
        tex = tex.replace(name, known)
    tex = re.sub(r"\\frac(\w)(\w)", r"\\frac{\1}{\2}", tex)
    picture = io.BytesIO()
    try:
        with mpl.rc_context({"mathtext.fontset": "cm", "svg.hashsalt": "causalkit"}):
            depth = math_to_image(
                f"${' '.join(tex.split())}$", picture, prop=FontProperties(size=13), dpi=72, format="svg"
            )
    except (ValueError, RuntimeError):
        return None
    return base64.b64encode(picture.getvalue()).decode(), float(depth)
