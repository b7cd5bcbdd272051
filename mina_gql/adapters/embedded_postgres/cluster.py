"""The server's directory below MINA_HOME: what lies where, how it is made, and whether this release can open it.

    postgres/data        the data directory, the account's where we are root
    postgres/password    of the role `mina`
    postgres/log

It is made under another name and renamed when it is complete, so it is never found half made.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mina_gql.adapters.embedded_postgres.errors import EmbeddedPostgresError
from mina_gql.adapters.embedded_postgres.install import ENVIRONMENT, Installation

ROLE = DATABASE = "mina"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The directory of one server."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def password(self) -> Path:
        return self.root / "password"

    def dsn(self, port: int) -> str:
        """Where clients reach the server; without TLS, or they would look for keys in a home directory not always ours."""
        password = self.password.read_text(encoding="ascii")
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}?sslmode=disable"


def cluster_of(home: Path) -> Cluster:
    """The cluster of a home, made or not."""
    return Cluster(home / "postgres")


def prepare(home: Path, installation: Installation, *, sync: bool) -> None:
    """Make the cluster where there is none; check it where there is. Raises EmbeddedPostgresError."""
    cluster = cluster_of(home)
    for leftover in home.glob("postgres.new-*"):
        # A killed first start may still be dying in there; what it writes behind our back goes at the next start.
        shutil.rmtree(leftover, ignore_errors=True)
    if not cluster.root.exists():
        _make(cluster, installation, sync=sync)
    made_by = (cluster.data / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != installation.major:
        raise EmbeddedPostgresError(
            f"The data in {cluster.data} was made by PostgreSQL {made_by}, and this Mina brings {installation.major}. Dump "
            "it (pg_dump) with the Mina that made it and load it into this one, or set MINA_HOME to a new directory."
        )


def _make(cluster: Cluster, installation: Installation, *, sync: bool) -> None:
    new = Cluster(Path(tempfile.mkdtemp(dir=cluster.root.parent, prefix="postgres.new-")))
    if installation.account:
        new.root.chmod(0o711)  # the account passes through to its data
    new.data.mkdir(mode=0o700)
    new.password.touch(mode=0o600)
    with new.password.open("w", encoding="ascii") as file:
        file.write(secrets.token_hex(24))
        file.flush()
        os.fsync(file.fileno())
    installation.hand_over(new.data)
    installation.hand_over(new.password)
    _initdb(new, installation, sync=sync)
    if installation.account:
        os.chown(new.password, os.geteuid(), os.getegid())  # from here on it is we who need it
    new.root.rename(cluster.root)


def _initdb(new: Cluster, installation: Installation, *, sync: bool) -> None:
    options = [
        f"--pgdata={new.data}",
        f"--username={ROLE}",
        "--auth=scram-sha-256",
        f"--pwfile={new.password}",
        "--encoding=UTF8",
        "--locale=C",
        # Sorts by code point and knows the letters of all languages, the same on every machine.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        *([] if sync else ["--no-sync"]),
    ]
    done = subprocess.run(  # noqa: S603 -- our own programs and options
        installation.command("initdb", *options, at_owners_death=signal.SIGKILL),
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        env=ENVIRONMENT,
        cwd=new.data,
        start_new_session=True,
    )
    if done.returncode != 0:
        raise EmbeddedPostgresError(f"PostgreSQL could not make its data in {new.data}:\n{done.stdout}{done.stderr}")
