"""The report of a sweep: it stands alone, says what came out and what did not, and its words agree with its tables."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from causalkit.bench import report as reporting
from causalkit.bench.figures import draw_main_effects, draw_plot
from causalkit.bench.report import write_suite_report
from causalkit.bench.results import read_results
from causalkit.bench.series import lay_out, level_text, number
from causalkit.bench.tables import Design, comparisons, effect_blocks, result_tables
from causalkit.runs import OutputError
from tests.made_sweep import experiment, grid, write_sweep

rng = np.random.default_rng(0)


def comparing():
    """irm is better by 0.3, vrex equals erm; one run failed, one was late, one is missing; a hostile question."""
    plot = [{"x": "strength", "y": "rmse", "by": "method"}, {"x": "method", "y": "total_seconds"}]
    entry = experiment(
        "ood", "Which method <script>survives</script> | which shift?", ("kind", "strength", "method"),
        {"rmse": "lower", "score": "higher"}, baseline={"method": "erm"}, plot=plot, notebook="/a/b/lesson.ipynb",
    )  # fmt: skip
    runs = []
    for p in grid(4, kind=["covariate", "label"], strength=[0.5, 2.0], method=["erm", "irm", "vrex"]):
        value = 1 + p["strength"] - 0.3 * (p["method"] == "irm") + 0.1 * p["seed"] + 0.001 * rng.normal()
        runs.append((p, {"rmse": value, "score": -value}))
    runs[5] = (runs[5][0], ("failed", "ValueError", "not finite: <b>nan</b> | inf"))
    runs[11] = (runs[11][0], ("timeout", "Timeout", "the whole run was not done in 60 s"))
    runs[20] = (runs[20][0], None)
    return entry, runs


def scaling():
    plot = [{"x": "n", "y": "seconds", "by": "step", "scale": "log"}]
    entry = experiment("cost", "How does it grow?", ("step", "n"), {"seconds": "lower"}, plot=plot)
    power = {"fit": 1.0, "search": 3.0}
    late = ("timeout", "Timeout", "the whole run was not done in 120 s")
    return entry, [(p, {"seconds": 1e-4 * p["n"] ** power[p["step"]]} if p["n"] * power[p["step"]] < 300 else late)
                   for p in grid(2, step=["fit", "search"], n=[10, 20, 50, 100])]  # fmt: skip


def factorial():
    entry = experiment("ablation", "Which part matters?", ("encoder", "objective"), effects=["encoder", "objective"])
    runs = grid(3, encoder=["none", "parents"], objective=["erm", "irm"])
    return entry, [(p, {"rmse": 1 - 0.5 * (p["encoder"] == "parents") + 0.01 * rng.normal()}) for p in runs]


def published():
    figures = [
        {"label": "ERM", "where": {"method": "erm"}, "metric": "f", "value": 0.9267, "tolerance": 0.001},
        {
            "label": "IRM",
            "where": {"method": "irm"},
            "metric": "f",
            "value": 0.5,
            "sd": 0.01,
            "n": 10,
            "reason": "rounded",
        },
    ]
    entry = experiment("two_bit", "As published?", ("method",), {"f": None}, figures=figures, source="A (2021)",
                       protocol="Exact risks.")  # fmt: skip
    return entry, [({"method": m, "seed": 0}, {"f": 0.92671}) for m in ("erm", "irm")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "sweep"
    plan = write_sweep(root, [comparing(), scaling(), factorial(), published()])
    (root / "runs" / plan[1]["address"] / "record.json").write_text('{"schema": 2, "verd')
    path = write_suite_report(root)
    return path, BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser"), path.with_suffix(".md").read_text()


def words(tag):
    return " ".join(tag.get_text(" ").split())


def table_of(page, caption):
    (tag,) = [t for t in page.find_all("table") if words(t.caption).startswith(caption)]
    return [[words(cell) for cell in row.find_all(["th", "td"])] for row in tag.find_all("tr")], tag


# The page


def test_the_page_stands_alone(made):
    _, page, _ = made
    assert not page.find_all(["script", "link", "iframe", "object", "base"])
    for tag in page.find_all(True):
        for name in ("src", "href", "srcset", "data"):
            assert not tag.get(name) or tag[name].startswith(("#", "data:image/svg+xml;base64,")), tag
        assert not any(name.startswith("on") for name in tag.attrs)
    assert "url(" not in page.style.get_text() and "@import" not in page.style.get_text()
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids)) and {a["href"][1:] for a in page.find_all("a")} <= set(ids)


def test_what_notebooks_say_is_text_and_not_html(made):
    _, page, text = made
    assert "<script>survives</script>" in page.h2.find_next("h2").get_text() or "<script>" in page.get_text()
    assert "not finite: <b>nan</b> | inf" in words(page)
    assert r"not finite: \<b>nan\</b> \| inf" in text
    lines = text.splitlines()
    for i in range(1, len(lines)):
        if lines[i].startswith("|") and lines[i - 1].startswith("|"):
            counts = [len(re.findall(r"(?<!\\)\|", line)) for line in lines[i - 1 : i + 1]]
            assert counts[0] == counts[1], lines[i]


def test_every_figure_has_its_words_beside_it(made):
    _, page, text = made
    figures = page.find_all("figure")
    assert len(figures) == 4
    for figure in figures:
        assert figure.img["alt"] and re.search(r"\d", words(figure.figcaption))
        assert words(figure.figcaption).split(". ", 1)[1][:40] in text


def test_the_head_counts_the_runs(made):
    _, page, text = made
    counts = "78 runs planned at budget fast: 72 ok, 3 timeout, 1 failed, 2 not run."
    assert counts in words(page) and counts in text and page.h1.get_text() == "A made-up sweep"


# Results


def test_levels_stand_beside_each_other_and_the_best_is_bold(made):
    rows, tag = table_of(made[1], "rmse (lower is better) by method")
    assert rows[0] == ["kind", "strength", "erm", "irm", "vrex"]
    assert [row[:2] for row in rows[1:]] == [[k, s] for k in ("covariate", "label") for s in ("0.5", "2")]
    assert "3 of 4" in rows[1][2] and "3 of 4" in rows[1][3] and "3 of 4" in rows[1][4] and "of" not in rows[2][2]
    bold = [
        [cell.name == "td" and cell.b is not None for cell in row.find_all("td")] for row in tag.tbody.find_all("tr")
    ]
    assert bold == [[False, False, False, True, False]] * 4
    _, score = table_of(made[1], "score (higher is better) by method")
    assert [row.find_all("td")[3].b is not None for row in score.tbody.find_all("tr")] == [True] * 4
    assert "over seeds (data, model)" in words(made[1])


def test_without_a_baseline_nothing_is_bold(made):
    assert not table_of(made[1], "seconds (lower is better) by step")[1].find_all("b")


def test_comparisons_say_what_is_better_and_what_is_unclear(made):
    rows, _ = table_of(made[1], "rmse (lower is better): against method = erm")
    assert rows[0][3:] == [
        "pairs",
        "mean",
        "baseline",
        "difference",
        "ratio",
        "p",
        "p (Holm)",
        "wins–losses",
        "finding",
    ]
    found = {tuple(row[:3]): row for row in rows[1:]}
    assert len(found) == 8
    assert found["covariate", "2", "irm"][-2:] == ["4–0", "better"] and "-0.3" in found["covariate", "2", "irm"][6]
    assert found["covariate", "2", "vrex"][-1] == "unclear"
    assert found["covariate", "0.5", "irm"][3] == "3 1 unpaired"
    assert "Against method = erm: rmse 4 better, 4 unclear; score 4 better, 4 unclear." in words(made[1].nav)
    assert "adjusted by Holm's method over all tests of its table" in words(made[1])


def test_power_laws_time_outs_and_effects_are_said(made):
    text = words(made[1])
    assert "fit 0.00100 to 0.0100, exponent 1.00 [1.00, 1.00]" in text or "exponent 1 [1, 1]" in text
    assert "search 0.100 to 12.5 (n 10 to 50 alone), exponent 3" in text
    assert "step search, n 100 (2 timeout)" in text
    rows, _ = table_of(made[1], "Effects on rmse")
    assert [row[0] for row in rows[1:]] == ["encoder", "objective", "encoder x objective", "seed", "residual"]
    assert float(rows[1][2].split()[0]) > 99 < float(rows[1][3].split()[0]) and rows[1][5] == "<0.001"
    assert rows[0][3] == "partial eta²" and rows[5][3] == "–"  # the residual has none
    assert "Largest effects on rmse, by share of its variation: encoder 9" in text


def test_published_figures_are_shown_whether_they_match_or_not(made):
    rows, tag = table_of(made[1], "Published figures")
    assert rows[1] == ["ERM", "0.9267", "0.92671 n = 1", "1.00e-05", "0.00100", "match", ""]
    assert rows[2][0] == "IRM" and rows[2][-2:] == ["no match", "rounded"]
    assert [span["class"] for span in tag.find_all("span")] == [["good"], ["bad"]]
    text = words(made[1])
    assert "Source: A (2021)." in text and "Protocol: Exact risks." in text and "1 match, 1 no match." in text


def test_failures_gaps_and_damage_are_shown(made):
    rows, _ = table_of(made[1], "Failures")
    assert [row[:3] for row in rows[1:]] == [["ood", "failed", "1"], ["ood", "timeout", "1"], ["cost", "timeout", "2"]]
    assert rows[1][3] == "cell 3 (model = fit(x)): ValueError: not finite: <b>nan</b> | inf"
    assert "kind=covariate, strength=0.5, method=irm, seed=1" in rows[1][4]
    assert table_of(made[1], "Planned and not run")[0][1] == ["ood", "2"]
    damaged, _ = table_of(made[1], "Damaged records")
    assert "cannot be read" in damaged[1][1] and damaged[1][2] == "no"


def test_the_command_and_the_environment_are_there(made):
    text = words(made[1])
    for said in ("causalkit bench made", "causalkit reproduce ", "cccccccccccc", "Linux, A CPU, 2 CPUs (76 runs)",
                 "torch 2.13.0", "aaaaaaaaaaaaaaaa", "notebook lesson:"):  # fmt: skip
        assert said in text, said


def test_a_report_can_be_put_elsewhere_and_is_the_same_each_time(made, tmp_path):
    path, _, _ = made
    again = write_suite_report(path.parent, tmp_path / "page.html")
    assert again.read_text() == path.read_text() and (tmp_path / "page.md").is_file()


def test_a_report_that_cannot_be_written_is_told(made, tmp_path, monkeypatch):
    with pytest.raises(OutputError, match=r"page.html cannot be written \(No such file or directory\)"):
        write_suite_report(made[0].parent, tmp_path / "absent" / "page.html")


def test_a_sweep_without_any_run_has_a_report(tmp_path):
    entries = [
        (entry, [(p, None) for p, _ in runs]) for entry, runs in (comparing(), scaling(), factorial(), published())
    ]
    write_sweep(tmp_path, entries)
    text = words(BeautifulSoup(write_suite_report(tmp_path).read_text(), "html.parser"))
    assert "78 not run" in text and "seconds cannot be plotted: no run has a value of it." in text
    assert "the design is not complete" in text and "2 not run" in text


def test_long_tables_are_folded_on_the_screen(tmp_path):
    entry = experiment("long", axes=("x",), baseline={"x": 0})
    write_sweep(
        tmp_path, [(entry, [(p, {"rmse": float(p["x"] + p["seed"] ** 2)}) for p in grid(2, x=list(range(61)))])]
    )
    page = BeautifulSoup(write_suite_report(tmp_path).read_text(), "html.parser")
    assert [words(tag.summary) for tag in page.find_all("details")] == [
        "Results: 61 rows", "rmse (lower is better): against x = 0: 60 rows",
    ]  # fmt: skip
    assert "details::details-content" in page.style.get_text()


# Parts


def frame(seeds=2, **axes):
    table = pd.DataFrame(grid(seeds, **axes))
    return table.assign(verdict="ok")


def test_what_is_averaged_over_is_said():
    table = frame(x=[1, 2], a=[0, 1], b=[0, 1]).assign(y=lambda t: t["x"] + 10.0 * t["b"] + t["seed"])
    picture = draw_plot(table, ["x", "a", "b"], {"x": "x", "y": "y"}, None)
    assert "each seed averaged over b." in picture.sentence and "a panel for each a" in picture.title
    assert "a = 0: from x 1 to 2: y 6.50 to 7.50." in picture.sentence
    assert draw_plot(table, ["x", "a", "b"], {"x": "x", "y": "y"}, None).svg == picture.svg


def test_a_plot_can_choose_its_panels_and_what_it_keeps():
    table = frame(x=[1, 2], a=[0, 1], b=[0, 1]).assign(y=lambda t: t["x"] + 10.0 * t["b"] + 100.0 * t["a"] + t["seed"])
    plot = {"x": "x", "y": "y", "facet": "b", "where": {"a": 1}}
    picture = draw_plot(table, ["x", "a", "b"], plot, None)
    assert picture.title == "y against x, a = 1, a panel for each b" and "averaged" not in picture.sentence
    assert "b = 1: from x 1 to 2: y 112 to 112." in picture.sentence  # 111.5 and 112.5, of seeds 0 and 1


def test_a_log_plot_of_what_has_no_logarithm_is_linear_and_says_so():
    table = frame(x=[0, 2]).assign(y=lambda t: t["x"] + 1.0)
    assert "The axes are linear" in draw_plot(table, ["x"], {"x": "x", "y": "y", "scale": "log"}, None).sentence
    table = frame(x=["a", "b"]).assign(y=1.0)
    assert "The axes are linear" in draw_plot(table, ["x"], {"x": "x", "y": "y", "scale": "log"}, None).sentence


def test_names_are_not_numbers():
    table = frame(x=["a", "b"], m=[True, False]).assign(y=lambda t: t["m"] + 0.0)
    sentence = draw_plot(table, ["x", "m"], {"x": "x", "y": "y", "by": "m"}, "higher").sentence
    assert sentence.endswith("Y of True a 1, b 1; False a 0, b 0.")


def test_many_lines_are_shortened_and_all_are_drawn():
    table = frame(x=[1, 2], m=[f"m{i}" for i in range(10)]).assign(y=lambda t: t["x"] * t["m"].str[1:].astype(float))
    picture = draw_plot(table, ["x", "m"], {"x": "x", "y": "y", "by": "m"}, None)
    assert "m0 0 to 0 (lowest at the end); m9 9 to 18 (highest); 8 between them." in picture.sentence


def test_main_effects_are_free_of_what_seeds_share():
    table = frame(4, a=[0, 1], b=["p", "q"]).assign(y=lambda t: 100.0 * t["seed"] + t["a"])
    picture = draw_main_effects(table, ["a", "b"], "y", "lower")
    assert (
        "a: 0 -0.5, 1 +0.5; b: p +0, q +0." in picture.sentence and "over 4 seeds; lower is better" in picture.sentence
    )


def test_a_comparison_that_cannot_be_made_says_why():
    table = frame(m=["a", "b"]).assign(y=1.0)
    design = Design(table, ["m"], {"y": "lower"}, {"m": "c"}, ["m"])
    (block,), finding = comparisons(design)
    assert block.alarm and "unknown level of baseline 'm' 'c'" in block.text and finding == ""
    assert comparisons(Design(table, ["m"], {"y": None}, {"m": "a"}, ["m"])) == ([], "")
    blocks, _ = effect_blocks(design, ["m", "x"], "y")
    assert "unknown column 'x'" in blocks[0].text


def test_a_baseline_without_rivals_and_an_experiment_without_axes():
    table = frame(m=["a"]).assign(y=1.0)
    design = Design(table, ["m"], {"y": "lower"}, {"m": "a"}, ["m"])
    (block,) = result_tables(design, "over seeds")
    assert block.rows == [["2", ("1", "[1, 1]")]] and "Always: m = a." in block.note
    (found,), finding = comparisons(design)
    assert "nothing" in found.text and finding == ""
    (block,) = result_tables(Design(table, [], {"y": None}, {}, []), "over seeds")
    assert block.rows == [["2", ("1", "[1, 1]")]]


def test_more_levels_than_fit_beside_each_other_stand_below():
    table = frame(k=[0, 1], m=list("abcdefghi")).assign(y=lambda t: t.index + 0.0)
    (block,) = result_tables(Design(table, ["m", "k"], {"y": "lower"}, {"m": "a"}, ["m"]), "over seeds")
    assert len(block.rows) == 18 and block.columns[:2] == ["k", "m"] and block.groups == {9}
    assert {r for r, _ in block.bold} == {0, 9}


@pytest.mark.parametrize("value, text", [(0, "0"), (3, "3"), (0.1, "0.100"), (-1234.5, "-1234"), (1e-5, "1.00e-05"),
                                         (123456.7, "1.23e+05"), (99.95, "100.0"), (float("nan"), "–")])  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_levels_are_short():
    assert [level_text(v) for v in (2.0, 0.25, "a", True, 3, None, float("nan"))] == [
        "2", "0.25", "a", "True", "3", "none", "none",
    ]  # fmt: skip


@pytest.mark.parametrize("seconds, text", [(3.14, "3.1 s"), (600, "10 min"), (36000, "10.0 h")])
def test_durations(seconds, text):
    assert reporting._duration(seconds) == text


# Methods that time out, or refuse, in runs that are ok


def limited():
    """slow times out at n = 40 in one seed with an answer and in one without; shy refuses at 40; fast does all."""
    plot = [{"x": "n", "y": "seconds", "by": "method", "scale": "log"}, {"x": "n", "y": "wrong", "by": "method"}]
    entry = experiment("walls", "Where?", ("method", "n"), {"seconds": "lower", "wrong": "lower"}, plot=plot)
    runs = []
    for p in grid(2, method=["fast", "slow", "shy"], n=[10, 20, 40]):
        late, shy = (p["method"] == name and p["n"] == 40 for name in ("slow", "shy"))
        seconds = 60.0 if late else p["n"] / 10 if p["method"] == "fast" else p["n"] ** 2 / 100
        found = {"seconds": None if shy else seconds, "wrong": None if shy or (late and p["seed"]) else 1.0}
        runs.append((p, {**found, "timed_out": float(late), "refused": float(shy)}))
    return entry, runs


def test_time_outs_and_refusals_are_counted_and_no_mean_hides_them(tmp_path):
    write_sweep(tmp_path, [limited()])
    text = words(BeautifulSoup(write_suite_report(tmp_path).read_text(), "html.parser"))
    rows, _ = table_of(BeautifulSoup((tmp_path / "report.html").read_text(), "html.parser"), "seconds")
    cells = dict(zip(rows[0][1:], rows[3][1:], strict=True))
    assert rows[3][0] == "40" and "2 timed out" in cells["slow"] and cells["shy"] == "– 0 of 2, 2 refused"
    assert "timed out" not in " ".join(rows[1] + rows[2])
    rows, _ = table_of(BeautifulSoup((tmp_path / "report.html").read_text(), "html.parser"), "wrong")
    assert "1 of 2, 2 timed out" in rows[3][2]
    assert "Timed out: counted with what the method had by then; without a value where it had nothing." in text
    assert "Timed out, and counted with what they had by then (open markers): method slow, n 40 (2 timed out)." in text
    assert "method slow, n 40 (1 timed out); method shy, n 40 (2 refused)" in text


def test_a_time_out_is_an_open_marker_and_bends_no_power_law(tmp_path):
    write_sweep(tmp_path, [limited()])
    table = read_results(tmp_path).frame("walls")
    plot = limited()[0]["plot"][0]
    layout = lay_out(table, ["method", "n"], plot)
    (lines,) = layout.panels.values()
    late = {line.name: line.rows["late"].tolist() for line in lines}
    assert late == {"fast": [0, 0, 0], "slow": [0, 0, 2], "shy": [0, 0]}
    assert lines[1].fit.slope == pytest.approx(2) and lines[1].fitted == (10, 20)
    ended = draw_plot(table[table["method"] != "slow"], ["method", "n"], plot, "lower")
    assert "open: timed out" in draw_plot(table, ["method", "n"], plot, "lower").svg
    assert "open: timed out" not in ended.svg and "open marker at the top edge" in ended.sentence


def test_a_part_of_a_suite_is_called_one(tmp_path):
    write_sweep(tmp_path, [limited()], part=["--only=walls", "--seeds=2"])
    text = words(BeautifulSoup(write_suite_report(tmp_path).read_text(), "html.parser"))
    assert "18 runs planned at budget fast, of which this is a part (--only=walls --seeds=2): 18 ok." in text


def test_the_wall_of_a_method_is_before_its_first_time_out(tmp_path):
    path = Path(__file__).parents[1] / "benchmarks" / "discovery_tables.py"
    spec = importlib.util.spec_from_file_location("discovery_tables", path)
    walls = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(walls)
    entry, runs = limited()
    renamed = [({**{k: v for k, v in p.items() if k != "n"}, "variables": p["n"]}, found) for p, found in runs]
    write_sweep(tmp_path, [({**entry, "axes": ["method", "variables"]}, renamed)])
    found = walls.swept(tmp_path, "walls")
    assert found["wall"].to_dict() == {"fast": 40, "slow": 20, "shy": 20}
    assert found.loc["slow", "timed out"] == [40] == found.loc["shy", "refused"]
    assert found["seconds"].tolist() == [4.0, 4.0, 4.0]


def test_the_cells_are_told_in_which_auto_is_not_near_the_best(tmp_path):
    path = Path(__file__).parents[1] / "benchmarks" / "discovery_tables.py"
    spec = importlib.util.spec_from_file_location("discovery_tables", path)
    walls = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(walls)
    shd = {("auto", 1): 2, ("a", 1): 3, ("b", 1): 2, ("auto", 2): 5, ("a", 2): 4, ("b", 2): 9}
    runs = [
        (p, {"shd_cpdag": shd[p["method"], p["n"]] + p["seed"]}) for p in grid(2, method=["auto", "a", "b"], n=[1, 2])
    ]
    write_sweep(tmp_path, [(experiment("e", "?", ("method", "n"), {"shd_cpdag": "lower"}), runs)])
    found = walls.auto_beside_best(tmp_path)
    assert found[["auto", "best", "which"]].to_numpy().tolist() == [[2.5, 2.5, "b"], [5.5, 4.5, "a"]]
