"""Writes what is linked into one program: `notices.py MANIFEST FOLDER COMPILER`.

MANIFEST is the crate's Cargo.toml, COMPILER is gcc or zig, whose C++ library is linked too. THIRD-PARTY.txt gets the
names and licences of all, THIRD-PARTY.cdx.json the same for programs (CycloneDX). What only builds, such as build
scripts and procedural macros, is not linked and not listed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import util
from pathlib import Path

PATTERNS = ("LICENSE*", "LICENCE*", "COPYING*", "COPYRIGHT*", "NOTICE*", "UNLICENSE*", "license*")
LINE = "=" * 78


def main() -> int:
    manifest, folder, compiler = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    crates = linked_crates(manifest)
    found = Texts()
    for crate in crates:
        for path in texts_of(Path(crate["manifest_path"]).parent):
            found.add(path.read_text(errors="replace"), f"{crate['name']} {crate['version']}")
    natives = native_parts(compiler, {crate["name"]: crate for crate in crates})
    for native in natives:
        # A distribution may leave documents out.
        for path in filter(Path.is_file, native.texts):
            found.add(path.read_text(errors="replace"), native.name)
    (folder / "THIRD-PARTY.txt").write_text(page(natives, crates, found))
    components = [native.part() for native in natives] + [crate_part(crate) for crate in crates]
    parts = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}
    (folder / "THIRD-PARTY.cdx.json").write_text(json.dumps(parts, indent=2) + "\n")
    return 0


@dataclass
class Native:
    """What is linked in and is no crate."""

    name: str
    version: str
    licence: str
    texts: list[Path]

    def part(self) -> dict:
        """A component in the words of CycloneDX."""
        licences = [{"expression": self.licence}]
        return {"type": "library", "name": self.name, "version": self.version, "licenses": licences}


def crate_part(crate: dict) -> dict:
    name, version = crate["name"], crate["version"]
    # An older form of the same expression.
    licences = [{"expression": (crate["license"] or "NOASSERTION").replace("/", " OR ")}]
    return {
        "type": "library",
        "name": name,
        "version": version,
        "licenses": licences,
        "purl": f"pkg:cargo/{name}@{version}",
    }


class Texts:
    """Each licence text once, with all that it stands in."""

    def __init__(self):
        self.texts: dict[str, tuple[str, set[str]]] = {}

    def add(self, text: str, name: str):
        # The same text has other line ends elsewhere.
        self.texts.setdefault(" ".join(text.split()), (text.strip(), set()))[1].add(name)


def linked_crates(manifest: Path) -> list[dict]:
    """The packages that a crate needs when it runs, which are not of this project."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--manifest-path", str(manifest)]
    host = re.search(r"host: (\S+)", said("rustc", "-vV"))[1]
    data = json.loads(said(*command, "--filter-platform", host))
    packages = {package["id"]: package for package in data["packages"]}
    needs = {node["id"]: node["deps"] for node in data["resolve"]["nodes"]}
    manifest = manifest.resolve()
    waiting = [name for name, package in packages.items() if Path(package["manifest_path"]) == manifest]
    found = set()
    while waiting:
        name = waiting.pop()
        if name in found or is_macro(packages[name]):
            continue
        found.add(name)
        for need in needs[name]:
            kinds = {kind["kind"] for kind in need["dep_kinds"]}
            # libzmq's source comes by a crate that only builds it.
            if packages[need["pkg"]]["name"] == "zeromq-src":
                found.add(need["pkg"])
            elif None in kinds:
                waiting.append(need["pkg"])
    # Of this project is what has no source but a folder.
    linked = [packages[name] for name in found if packages[name]["source"]]
    return sorted(linked, key=lambda package: (package["name"], package["version"]))


def is_macro(package: dict) -> bool:
    return any("proc-macro" in target["kind"] for target in package["targets"])


def texts_of(folder: Path) -> list[Path]:
    """The licences of a crate, but Apache's where the crate offers another beside it."""
    paths = sorted({path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()})
    return [path for path in paths if "APACHE" not in path.name] or paths


def native_parts(compiler: str, crates: dict[str, dict]) -> list[Native]:
    rust = Path(said("rustc", "--print", "sysroot")) / "share/doc/rust/licenses"
    texts = [rust / "MIT.txt", rust / "Apache-2.0.txt"]
    found = [Native("Rust's standard library", said("rustc", "--version").split()[1], "MIT OR Apache-2.0", texts)]
    if "zeromq-src" not in crates:
        return found
    source = crates["zeromq-src"]
    vendor = Path(source["manifest_path"]).parent / "vendor"
    texts = [vendor / "COPYING", vendor / "COPYING.LESSER"]
    found.append(
        Native("libzmq", source["version"].split("+")[1], "LGPL-3.0-or-later WITH LGPL-3.0-linking-exception", texts)
    )
    header = Path("/usr/include/sodium/version.h").read_text()
    version = re.search(r'SODIUM_VERSION_STRING "(.+)"', header)[1]
    found.append(Native("libsodium", version, "ISC", [Path("/usr/share/doc/libsodium-dev/copyright")]))
    return found + cpp_library(compiler)


def cpp_library(compiler: str) -> list[Native]:
    if compiler == "gcc":
        texts = sorted(Path("/usr/share/doc").glob("libstdc++-*-dev/copyright"))
        return [Native("libstdc++", said("g++", "-dumpfullversion"), "GPL-3.0-or-later WITH GCC-exception-3.1", texts)]
    spec = util.find_spec("ziglang")
    library = Path(spec.origin).parent / "lib"
    number = re.search(r"define _LIBCPP_VERSION (\d+)", (library / "libcxx/include/__config").read_text())[1]
    version = f"{number[:-4]}.{int(number[-4:-2])}.{int(number[-2:])}"
    names = ("libcxx", "libcxxabi", "libunwind")
    licence = "Apache-2.0 WITH LLVM-exception"
    return [Native(name, version, licence, [library / name / "LICENSE.TXT"]) for name in names]


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def page(natives: list[Native], crates: list[dict], found: Texts) -> str:
    lines = ["What is linked into this program, under which licences, and their texts.", ""]
    lines += [f"{native.name} {native.version}: {native.licence}" for native in natives]
    lines += [f"{crate['name']} {crate['version']}: {crate['license'] or 'see its text'}" for crate in crates]
    for text, names in found.texts.values():
        lines += ["", LINE, ", ".join(sorted(names)), LINE, "", text]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
