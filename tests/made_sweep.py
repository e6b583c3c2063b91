"""Directories as sweeps leave them, written by hand, with numbers that the tests choose."""

import hashlib
import itertools
import json

import nbformat.v4 as v4

from causalkit.runs.run import SCHEMA

MACHINE = {"os": "Linux", "architecture": "x86_64", "cpu": "A CPU", "cpus": 2, "memory": 8.0, "threads": 1}
VERSIONS = {"causalkit": "0.1.0", "python": "3.11.7", "torch": "2.13.0"}


def experiment(name, question="Does it?", axes=(), metrics=None, **more):
    """The entry of sweep.json; metrics as name -> direction."""
    entries = {key: {"better": better, "tolerance": 0.01} for key, better in (metrics or {"rmse": "lower"}).items()}
    rest = {"seeds": [0, 1, 2], "baseline": {}, "plot": [], "effects": [], "source": "", "protocol": "", "figures": []}
    return {"name": name, "question": question, "notebook": "lesson", "axes": list(axes), "metrics": entries, **rest,
            **more}  # fmt: skip


def address_of(name, parameters):
    return hashlib.sha256(json.dumps([name, parameters], sort_keys=True).encode()).hexdigest()[:16]


def record_of(parameters, outcome, address, name):
    """A record; an outcome is a dict of numbers, or (verdict, ename, evalue)."""
    ok = isinstance(outcome, dict)
    entry = {"meaning": "a number", "unit": "1", "better": "lower", "truth": None, "repeats": True}
    metrics = {key: {"value": value, **entry} for key, value in outcome.items()} if ok else {}
    failure = None if ok else {"cell": 3, "line": "model = fit(x)", "ename": outcome[1], "evalue": outcome[2]}
    return {
        "schema": SCHEMA, "verdict": "ok" if ok else outcome[0], "failure": failure, "notebook": "lesson",
        "study": None, "source_sha256": "0" * 64, "parameters": parameters,
        "seeds": {"seed": parameters.get("seed"), "data": 11, "model": 12}, "metrics": metrics, "tables": {},
        "started": "2026-05-01T10:00:00+00:00", "finished": "2026-05-01T10:00:02+00:00",
        "timings": {"total": 2.0, "kernel_start": 0.5, "cells": [{"cell": 0, "line": "seed = 0", "seconds": 0.1}]},
        "peak_memory": 300.0, "attempts": 1, "warm": True, "versions": VERSIONS, "machine": MACHINE,
        "git": {"commit": "c" * 40, "dirty": False}, "command": "causalkit run lesson", "code_sha256": "a" * 64,
        "lock_sha256": "b" * 64, "artefacts": {}, "suite": "made", "experiment": name, "address": address,
        "budget": "fast",
    }  # fmt: skip


def write_sweep(directory, experiments, **more):
    """Write a sweep: experiments is a list of (entry, list of (parameters, outcome)); outcome None: not run.

    Returns the plan.
    """
    plan = []
    for entry, runs in experiments:
        for parameters, outcome in runs:
            address = address_of(entry["name"], parameters)
            plan.append({"address": address, "experiment": entry["name"], "parameters": parameters})
            if outcome is not None:
                place = directory / "runs" / address
                place.mkdir(parents=True)
                text = json.dumps(record_of(parameters, outcome, address, entry["name"]))
                (place / "record.json").write_text(text)
                (place / "executed.ipynb").write_text(v4.writes(v4.new_notebook(cells=[v4.new_code_cell("seed = 0")])))
    suite = {"name": "made", "title": "A made-up sweep", "about": "Numbers by hand.",
             "experiments": [entry for entry, _ in experiments]}  # fmt: skip
    sweep = {
        "schema": 1, "suite": suite, "suite_file": "made.toml", "budget": "fast", "command": "causalkit bench made",
        "workers": 2, "dask": None, "threads": 1, "code_sha256": "a" * 64, "lock_sha256": "b" * 64,
        "versions": VERSIONS, "git": {"commit": "c" * 40, "dirty": False}, "machine": MACHINE,
        "started": "2026-05-01T10:00:00+00:00", "plan": plan, **more,
    }  # fmt: skip
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sweep.json").write_text(json.dumps(sweep))
    return plan


def grid(seeds=3, **axes):
    """All parameter sets of a product of axes, seeds innermost."""
    names = [*axes, "seed"]
    return [dict(zip(names, levels, strict=True)) for levels in itertools.product(*axes.values(), range(seeds))]
