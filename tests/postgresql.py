"""A PostgreSQL server of our own, from whatever is installed, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from alertd.store.database import open_database

USER = "postgres"

# Nothing outlives the tests, so nothing needs to reach a disk. A crash of the server alone loses no commit all the same.
SETTINGS = """
listen_addresses = ''
fsync = off
full_page_writes = off
autovacuum = off
shared_buffers = 16MB
"""

# Until its input ends, which it does too when the tests are killed: then the server ends at once.
RUN = '"$0" -D data </dev/null >log 2>&1 & read -r _; kill -QUIT $!; wait'


def binaries() -> Path | None:
    """Where initdb is: Debian keeps it out of the way, by version; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: float(each.parts[-3]))
    elsewhere = shutil.which("initdb")
    return found[-1].parent if found else Path(elsewhere).resolve().parent if elsewhere else None


@dataclass
class Server:
    """A server that listens on a socket in its folder. `stranger` alone needs a password, which is `geheim`."""

    programs: Path
    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)
    _process: subprocess.Popen[bytes] | None = None

    def url(self, name: str = "postgres", login: str = USER) -> str:
        return f"postgresql://{login}@/{name}?host={self.folder}"

    def new_store(self) -> str:
        """The URL of a migrated store with nothing in it."""
        return self.new_database("TEMPLATE empty")

    def new_database(self, how: str = "") -> str:
        """The URL of a database without tables."""
        name = f"store{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} {how}")
        return self.url(name)

    def execute(self, *statements: str) -> None:
        """Do something as the one who may do anything."""
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            for each in statements:
                connection.exec_driver_sql(each)

    def set_up(self) -> None:
        self._run("initdb", "-D", "data", "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale")
        data = self.folder / "data"
        with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS + f"unix_socket_directories = '{self.folder}'\n")
        access = data / "pg_hba.conf"
        access.write_text("local all stranger scram-sha-256\n" + access.read_text(encoding="utf-8"), encoding="utf-8")
        self.start()
        self.execute("CREATE ROLE stranger LOGIN PASSWORD 'geheim'", "CREATE DATABASE empty")
        open_database(self.url("empty")).close()

    def start(self) -> None:
        command = self._command("sh", "-c", RUN, str(self.programs / "postgres"))
        self._process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.PIPE)
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError(f"postgres ended: {(self.folder / 'log').read_text(encoding='utf-8')}")
            time.sleep(0.02)

    def stop(self) -> None:
        """As in a crash: nobody is asked to finish."""
        if self._process:
            self._process.communicate()
        self._process = None

    def _answers(self) -> bool:
        asking = [str(self.programs / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(asking, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = self._command(str(self.programs / program), *arguments)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    @staticmethod
    def _command(*words: str) -> list[str]:
        # Root may not run a server; Debian's package brings a user that may.
        return [*(("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()), *words]


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A new server, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="alertd-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(programs, folder)
    try:
        server.set_up()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """What a query finds, by a connection of its own that knows nothing of alertd."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]
