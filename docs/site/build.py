"""Builds the documentation as a site: `tests/.venv/bin/python docs/site/build.py` writes docs/out/site.

It needs the installed kernel, which is asked for the help of its magics, and Python's package index once: the site's
generator has an environment of its own in docs/out. Links that lead nowhere are errors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv

from pages import OUT, ROOT, Pages

SITE = ROOT / "docs/site"
ENVIRONMENT = OUT / "venv"


def main() -> None:
    pages = Pages()
    pages.write()
    # JSON is YAML.
    config = OUT / "mkdocs.yml"
    settings = {"INHERIT": str(SITE / "mkdocs.yml"), "docs_dir": "pages", "site_dir": "site", "nav": pages.nav()}
    config.write_text(json.dumps(settings, indent=2))
    generator = [ensure_generator(), "build", "--strict", "--quiet", "--config-file", str(config)]
    # The generator says at each run that there will be another one some day; the versions are pinned.
    done = subprocess.run(generator, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    if done.returncode:
        sys.exit("the site has errors; they stand above")
    print(f"{pages.count} pages: {OUT.relative_to(ROOT)}/site/index.html")


def ensure_generator() -> str:
    """MkDocs of the pinned versions; the path of its program."""
    wanted = (SITE / "requirements.txt").read_text()
    stamp = ENVIRONMENT / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        pip = [str(ENVIRONMENT / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(SITE / "requirements.txt")], check=True)
        stamp.write_text(wanted)
    return str(ENVIRONMENT / "bin/mkdocs")


if __name__ == "__main__":
    main()
