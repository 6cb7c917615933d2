"""A page for each detector, made from its class: idea, formula, source, what it asks and costs.

Pictures and figures on drawn streets are those that `benchmarks/method_pictures.py` wrote.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from pages import figures
from pages.writing import write_pages
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.report.tables.results import learned_from

KINDS = {
    "posthoc": "nothing: it reads what the segmenter says",
    "fit": "statistics of ordinary frames (`roadanomaly fit`)",
    "train": "its own networks, on a segmenter that stays as it is (`roadanomaly train`)",
    "finetune": "together with the segmenter, whose parameters move (`roadanomaly train`)",
}
ASKS = {
    "answer": "one pass, whose answer it changes or adds to",
    "passes": "several passes over the image",
    "gradients": "a gradient of the image",
    "state": "one pass, and what earlier frames left",
    "coder": "one pass, and a coder of images",
}
TEXT = (
    "One page for each detector of the catalogue, made from its code. **Streets** is the AP (%) on "
    "twelve drawn frames after 40 steps on a small segmenter: it shows that a method runs and what "
    "its scores look like, not which is better. **RoadAnomaly** is the AP of our scorings of that "
    "real set, from the lowest to the highest, under [the rules of the numbers](../../numbers.md); "
    "most methods have none yet. Each page has the recipe of each, and what papers report."
)
FRAMES = (
    "Three drawn street frames, and below them the same darkened with the strange objects outlined "
    "in cyan: a goat far off; a large animal and a box; a heap of debris beside the lane."
)
SCALE = (
    "The scale of the colours, from black, every pixel, to light yellow, one pixel in a thousand."
)
HOW_TO_READ = (
    "Above, three frames of the drawn streets' test split, and their strange objects. Below, the "
    "scores of `{name}` at the same places. A colour says how rare a score is among all pixels of "
    "the twelve test frames, so that all methods share one scale: one pixel in ten scores at least "
    "as high as what is violet, one in a hundred as what is orange. Streets, {steps}: shows how it "
    "looks, not how good it is. Made by `{command} --only {name}`."
)


def write(folder: Path) -> None:
    """Write the pages."""
    pages = {name: page(name, DETECTORS.get(name)) for name in sorted(DETECTORS)}
    write_pages(folder, "Methods", f"{TEXT}\n\n{overview()}", pages, linked=True)


def overview() -> str:
    """Return the table of all detectors."""
    titles = ("detector", "scores", "family", "learns from", "streets", "RoadAnomaly")
    return figures.lines(titles, (_line(name, DETECTORS.get(name)) for name in sorted(DETECTORS)))


def _line(name: str, kind: type[Detector]) -> list[str]:
    ours = figures.on_streets().get(name, {})
    drawn = f"![Score maps of {name}](../../methods/{name}.webp)" if _drawn(name) else ""
    return [
        f"[`{name}`]({name}.md)",
        drawn,
        family(kind),
        from_what(name, kind),
        ours.get("ap", ""),
        _range(name),
    ]


def _range(name: str) -> str:
    """Return the lowest and the highest AP of all scorings of RoadAnomaly, percent."""
    scored = figures.on_roads().get(name, [])
    found = sorted({float(one["ap"]) for one in scored if one["set"].startswith("roadanomaly")})
    return " to ".join(f"{ap:.1f}" for ap in (found[:1] + found[1:][-1:]))


def family(kind: type[Detector]) -> str:
    """Return the room that a detector's file lies in, or that it is made of other detectors."""
    parts = kind.__module__.split(".")
    return parts[2] if len(parts) > 3 else "of other detectors"


def from_what(name: str, kind: type[Detector]) -> str:
    """Say what a detector learns from: what it did on the streets, or what its class declares."""
    told = figures.on_streets().get(name, {}).get("learned_from")
    if told:
        return told
    return learned_from(kind.supervision) if isinstance(kind.supervision, str) else "by its options"


def page(name: str, kind: type[Detector]) -> str:
    """Return the page of one detector."""
    place = f"{kind.__module__}.{kind.__qualname__}"
    parts = (
        f"# {name}\n\n{facts(name, kind)}\n",
        f"```{{eval-rst}}\n.. autoclass:: {place}\n   :no-members:\n```\n",
        f"## What its scores look like\n\n{picture(name)}\n",
        f"## Our figures\n\n{ours(name, kind)}\n",
        f"## What is published of it\n\n{of_others(name)}",
    )
    return "\n".join(parts)


def facts(name: str, kind: type[Detector]) -> str:
    """Return what the class declares, as a list."""
    of_segmenter = ", as the segmenter did" if kind.kind == "posthoc" else ""
    told = [
        f"- **Score**: {formula(kind)}.",
        f"- **Learns**: {KINDS[kind.kind]}.",
        f"- **Learns from**: {from_what(name, kind)}{of_segmenter}.",
        f"- **Reads**: {', '.join(f'`{one}`' for one in kind.accepts)} of the segmenter.",
        f"- **Asks**: {', '.join(ASKS[one] for one in kind.asks) or 'one pass'}.",
        f"- **Source**: {kind.paper}.",
    ]
    recipes = sorted((figures.ROOT / "configs").glob("*.yaml"))
    used = [path.name for path in recipes if figures.detector_in(path) == name]
    if used:
        told.append("- **Recipes**:")
        told += [f"  - `configs/{one}`" for one in used]
    return "\n".join(told)


def formula(kind: type[Detector]) -> str:
    """Return what the docstring of `score` says that it returns, without the shape."""
    words = " ".join((inspect.getdoc(kind.score) or "").split("\n\n")[0].split())
    return words.removeprefix("Return ").replace(", `(B, H, W)`", "").rstrip(".")


def picture(name: str) -> str:
    """Return the frames, the score maps and how to read them; or why there are none."""
    row = figures.on_streets().get(name)
    if row and row["reason"]:
        again = f"`{figures.COMMAND} --only {name}` tries it again."
        return f"It has no picture: {row['reason'].rstrip('.')}. {again}\n"
    if not row or not _drawn(name):
        return f"It has no picture yet; `{figures.COMMAND} --only {name}` makes it.\n"
    maps = f"Score maps of {name} on these frames; AP {row['ap']} on the twelve test frames."
    images = ((FRAMES, "frames"), (maps, name), (SCALE, "scale"))
    shown = "\n\n".join(f"![{text}](../../methods/{file}.webp)" for text, file in images)
    read = HOW_TO_READ.format(name=name, steps=_prepared(name, row), command=figures.COMMAND)
    note = f"\n\n{row['note']}" if row["note"] else ""
    return f":::{{container}} score-maps\n{shown}\n:::\n\n{read}{note}\n"


def ours(name: str, kind: type[Detector]) -> str:
    """Return what we measured: on streets, and on real roads where that was done."""
    told = []
    row = figures.on_streets().get(name)
    if row and not row["reason"]:
        told.append(f"{_setting(row)}\n\n{figures.table(figures.ON_STREETS, [row])}")
        if kind.region == "road":
            told.append("It judges the road alone; these figures count all pixels.\n")
    real = figures.on_roads().get(name)
    if real:
        about = "On real roads, every scoring since 28 November 2026 (`docs/scored.csv`), percent:"
        told.append(f"{about}\n\n{figures.table(figures.ON_ROADS, real)}")
    else:
        told.append("No test set of real roads has been scored with it yet.\n")
    return "\n".join(told)


def of_others(name: str) -> str:
    """Return what papers and READMEs report of it, as a table."""
    rows = figures.reported(name)
    if not rows:
        return "The package knows no published figure of it on a road-anomaly benchmark.\n"
    about = "The papers' and authors' own figures, percent, not measured by us:"
    return f"{about}\n\n{figures.table(figures.REPORTED, rows)}"


def _drawn(name: str) -> bool:
    return (figures.PICTURES / f"{name}.webp").exists()


def _prepared(name: str, row: dict[str, str]) -> str:
    if row["steps"] != "0":
        return f"{row['steps']} steps"
    return "nothing learned" if DETECTORS.get(name).kind == "posthoc" else "fitted on 30 frames"


def _setting(row: dict[str, str]) -> str:
    recipe = f", by `configs/{row['recipe']}` cut short" if row["recipe"] else ""
    return (
        f"On twelve drawn frames of 256x512 (`streets`, split `test`){recipe}, beside a small "
        f"`{row['network']}` that learned from drawn streets; AP and FPR95 in percent. Times are "
        "of one thread of a busy machine, the segmenter alone and with the detector in turns, so "
        f"they compare within the line. `{figures.COMMAND} --only {row['method']}` measures it "
        "again:"
    )
