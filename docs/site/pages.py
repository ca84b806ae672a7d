"""The site's pages, put together from what the repository has: nothing is written twice.

A magic's page is its section of docs/magics.md and the help that the kernel itself gives. Links between files of the
repository become links between pages; where a file is no page, its name stays and the link goes.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import tutorials
from kernel_help import helps

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "docs/out"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")

# Files that are pages as they are, with their titles.
GUIDES = {
    "docs/index.md": ("index.md", "diaphane"),
    "docs/install.md": ("install.md", "Install"),
    "docs/where-it-runs.md": ("where-it-runs.md", "Where it runs"),
    "docs/library.md": ("library.md", "As a library"),
    "docs/pytest.md": ("pytest.md", "In tests"),
    "docs/workers.md": ("workers.md", "Many processes"),
    "docs/scripts.md": ("scripts.md", "Reports in code"),
    "docs/panel.md": ("panel.md", "The panel"),
    "docs/top.md": ("top.md", "In a terminal"),
    "docs/agents.md": ("agents.md", "Agents and editors"),
    "docs/guest.md": ("guest.md", "In other kernels"),
    "docs/safety.md": ("safety.md", "Is it safe?"),
    "docs/how-it-works.md": ("how-it-works.md", "How it works"),
    "docs/cost.md": ("cost.md", "What it costs"),
    "docs/crash-report.md": ("crash-report.md", "Crash reports"),
    "docs/glossary.md": ("glossary.md", "Glossary"),
    "docs/glossary.fr.md": ("glossary.fr.md", "Glossaire"),
    "docs/reliability.md": ("reliability.md", "Reliability"),
    "docs/adding-a-magic.md": ("adding-a-magic.md", "Add a magic"),
    "docs/releasing.md": ("releasing.md", "Release"),
    "ARCHITECTURE.md": ("architecture.md", "Architecture"),
    "CONTRIBUTING.md": ("contributing.md", "Contributing"),
    "CHANGELOG.md": ("changelog.md", "Changelog"),
}
# Links in the file system, so that JupyterLab finds the files below the folder in which it was started.
LINKS = {"notebooks/glossary.md": "glossary.md", "notebooks/glossary.fr.md": "glossary.fr.md"}
# Places that links lead to, whose pages are put together from several files.
PARTS = ("README.md", "docs/magics.md", "docs/diagnoses", "notebooks", *LINKS)
# The magics' sections bear the names of their headings: "## `%loaded_libs [REGEX]`".
SECTION = re.compile(r"^## (.*`%.*)$", re.MULTILINE)


class Pages:
    """Every page's text under its path, and where files of the repository are in the site."""

    def __init__(self):
        self.folder = OUT / "pages"
        self.helps = helps()
        self.places = {source: page for source, (page, _) in GUIDES.items()}
        self.places["README.md"] = "index.md"
        self.places["docs/magics.md"] = "magics/index.md"
        self.places["notebooks"] = "tutorials/index.md"
        self.places |= LINKS
        self.places["docs/diagnoses"] = "diagnoses/index.md"
        for path in sorted(ROOT.glob("docs/diagnoses/*.md")):
            name = "index.md" if path.name == "README.md" else path.name
            self.places[f"docs/diagnoses/{path.name}"] = f"diagnoses/{name}"
        for path in [*sorted(ROOT.glob("notebooks/*/*.ipynb")), *sorted(ROOT.glob("notebooks/pictures/*.svg"))]:
            page = path.relative_to(ROOT / "notebooks").with_suffix(".md" if path.suffix == ".ipynb" else ".svg")
            self.places[str(path.relative_to(ROOT))] = f"tutorials/{page}"
        for path in sorted(ROOT.glob("docs/pictures/*.png")):
            self.places[str(path.relative_to(ROOT))] = f"pictures/{path.name}"
        self.places["kernel/logo/logo-svg.svg"] = "logo.svg"
        self.count = 0

    def write(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for source, page in self.places.items():
            self.copy(source, page)
        shutil.copy(ROOT / "docs/site/reports.css", self.folder)
        self.write_magics()
        self.write_tutorials()

    def copy(self, source: str, page: str) -> None:
        path = ROOT / source
        (self.folder / page).parent.mkdir(parents=True, exist_ok=True)
        if source in PARTS:
            return
        if path.suffix == ".md":
            self.page(page, path.read_text(), source)
        elif path.suffix in (".svg", ".png"):
            shutil.copy(path, self.folder / page)

    def page(self, page: str, text: str, source: str) -> None:
        """Write a page whose text came from a file of the repository."""
        file = self.folder / page
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
        file.write_text("".join(p if p.startswith("```") else self.relinked(p, page, source) for p in parts))
        self.count += 1

    def relinked(self, text: str, page: str, source: str) -> str:
        def relink(match: re.Match) -> str:
            bang, words, target = match.groups()
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target) or not path:
                return match[0]
            place = self.places.get(os.path.normpath(Path(source).parent / path))
            if place == "magics/index.md" and anchor:
                name = next((n for n in sorted(self.helps, key=len, reverse=True) if anchor.startswith(n)), None)
                place, anchor = (f"magics/{name}.md", "") if name else (place, "")
            if place is None:
                return words
            relative = os.path.relpath(place, Path(page).parent)
            return f"{bang}[{words}]({relative}{'#' + anchor if anchor else ''})"

        return LINK.sub(relink, text)

    def write_magics(self) -> None:
        intro, *sections = SECTION.split((ROOT / "docs/magics.md").read_text())
        rows = ["", "## The magics", "", "| Magic | |", "|---|---|"]
        described = {}
        for heading, text in zip(sections[::2], sections[1::2], strict=True):
            for name in re.findall(r"%([a-z_]+)", heading):
                described[name] = (heading, text)
        missing = self.helps.keys() ^ described.keys()
        assert not missing, f"docs/magics.md and the kernel do not have the same magics: {missing}"
        for name, (_, text) in described.items():
            form, help_text = self.helps[name]
            rows.append(f"| [`{form}`]({name}.md) | {help_text.splitlines()[0]} |")
            # Headings go up with the section, which is a page now.
            text = re.sub(r"^###", "##", text, flags=re.MULTILINE)
            # The fields stand above, as tables.
            usage = help_text.partition("\n\nFields of a row")[0].strip()
            options = f"## What `{form}?` says\n\n```text\n{usage}\n```\n"
            self.page(f"magics/{name}.md", f"# {form}\n\n{text.strip()}\n\n{options}", "docs/magics.md")
        self.page("magics/index.md", intro.rstrip() + "\n" + "\n".join(rows) + "\n", "docs/magics.md")

    def write_tutorials(self) -> None:
        lists = []
        for language, heading in tutorials.LANGUAGES.items():
            lists += [f"## {heading}", ""]
            for path in sorted(ROOT.glob(f"notebooks/{language}/*.ipynb")):
                source = str(path.relative_to(ROOT))
                page = self.places[source]
                self.page(page, tutorials.page(path, self.folder / page), source)
                lists.append(f"- [{tutorials.title(path)}]({language}/{path.name})")
            lists.append("")
        self.page("tutorials/index.md", tutorials.INTRODUCTION + "\n".join(lists), "notebooks/README.md")

    def nav(self) -> list:
        """The order of the pages."""
        titles = dict(GUIDES.values())
        guide = [
            "index.md",
            *(
                {titles[page]: page}
                for page in (
                    "install.md",
                    "how-it-works.md",
                    "cost.md",
                    "crash-report.md",
                    "glossary.md",
                    "glossary.fr.md",
                )
            ),
        ]
        inside = (
            "reliability.md",
            "adding-a-magic.md",
            "architecture.md",
            "contributing.md",
            "releasing.md",
            "changelog.md",
        )
        languages = [
            {heading: [{tutorials.title(p).replace("`", ""): f"tutorials/{language}/{p.stem}.md"} for p in found]}
            for language, heading in tutorials.LANGUAGES.items()
            if (found := sorted(ROOT.glob(f"notebooks/{language}/*.ipynb")))
        ]
        codes = sorted(page for page in self.places.values() if re.fullmatch(r"diagnoses/[A-Z]\d+\.md", page))
        return [
            {"Guide": guide},
            {"Tutorials": ["tutorials/index.md", *languages]},
            {"Magics": ["magics/index.md", *({form: f"magics/{n}.md"} for n, (form, _) in self.helps.items())]},
            {"Diagnoses": ["diagnoses/index.md", *codes]},
            {"Inside": [{titles[page]: page} for page in inside]},
        ]
