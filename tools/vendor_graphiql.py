"""Refresh the built third-party files that GraphiQL is served from, out of the npm packages named here.

Usage: `python tools/vendor_graphiql.py` (needs npm). Change a version in PACKAGES first; `VENDOR.md` is written anew.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "mina_gql/api/graphiql/static/vendor"


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package: the built files taken from it, its licence's text and name."""

    name: str
    version: str
    files: tuple[str, ...]
    text: str = "LICENSE"
    licence: str = "MIT"

    @property
    def kept_text(self) -> str:
        return f"LICENSE-{self.name.rpartition('/')[2]}.txt"


PACKAGES = (
    Package("graphiql", "4.1.2", ("graphiql.min.js", "graphiql.min.css")),
    Package("react", "18.3.1", ("umd/react.production.min.js",)),
    Package("react-dom", "18.3.1", ("umd/react-dom.production.min.js",)),
    Package("graphql-ws", "6.4.2", ("umd/graphql-ws.min.js",), "LICENSE.md"),
    # graphiql.min.css carries these two fonts, without their licences
    Package("@fontsource/roboto", "5.0.8", (), licence="Apache-2.0"),
    Package("@fontsource/fira-code", "5.0.8", (), licence="OFL-1.1"),
)

HEAD = """# Third-party files

Built files of npm packages, byte for byte as published, so that GraphiQL needs no CDN; the licences stand beside
them. `graphiql.min.css` carries the fonts Roboto and Fira Code, whose licences come from packages of their own.
To refresh: set the versions in `tools/vendor_graphiql.py` and run it.

GraphiQL stays at 4.x, the last line with a ready browser build: 5.x is modules around Monaco, with workers and a
bundler of our own to keep. React 18 is the last one with such a build as well.

| file | package | version | licence | sha256 |
|---|---|---|---|---|
"""


def unpack(package: Package) -> dict[str, bytes]:
    """What is kept of a package: our file name -> its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", f"{package.name}@{package.version}", "--silent", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- the names are PACKAGES'
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            read = {name: _member(tar, f"package/{name}") for name in (*package.files, package.text)}
    kept = {Path(name).name: read[name] for name in package.files}
    return kept | {package.kept_text: read[package.text]}


def _member(tar: tarfile.TarFile, path: str) -> bytes:
    member = tar.extractfile(path)
    if member is None:
        raise FileNotFoundError(path)
    return member.read()


def main() -> None:
    """Replace the folder's files and its table."""
    contents = {package: unpack(package) for package in PACKAGES}
    VENDOR.mkdir(parents=True, exist_ok=True)
    for old in VENDOR.iterdir():
        old.unlink()
    rows = []
    for package, files in contents.items():
        for name, content in files.items():
            (VENDOR / name).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            rows.append(f"| `{name}` | {package.name} | {package.version} | {package.licence} | `{digest}` |\n")
    (VENDOR / "VENDOR.md").write_text(HEAD + "".join(rows))
    sys.stdout.write(f"{len(rows)} files in {VENDOR}\n")


if __name__ == "__main__":
    main()
