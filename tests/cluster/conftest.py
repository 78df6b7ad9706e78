"""A real Slurm of one node and a real PostgreSQL, on loopback, for as long as the tests run."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

START_S = 60.0
OWNER = "nobody"  # PostgreSQL refuses to run as the superuser
SLURM_CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
KillWait=20
InactiveLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def wait_for(what: str, ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not ready():
        if time.monotonic() > deadline:
            said = log.read_text()[-800:] if log.exists() else "it wrote no log"
            pytest.skip(f"{what} does not start here: {said}")
        time.sleep(0.2)


def needed(*programs: str, packages: str) -> list[str]:
    """Where the programs are; skips with what to install."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = {program: shutil.which(program, path=path) for program in programs}
    missing = [program for program, place in found.items() if place is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install {packages}")
    return [str(place) for place in found.values()]


class Daemons:
    """Processes in the foreground, ended in the reverse order of their start."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder

    def start(
        self, command: list[str], ending: signal.Signals = signal.SIGTERM, **rest: object
    ) -> Path:
        """Where it writes what it prints."""
        log = self._folder / f"{Path(command[0]).name}.out"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, **rest)  # type: ignore[call-overload]
        self._stack.callback(_end, process, ending)
        return log


def _end(process: "subprocess.Popen[bytes]", ending: signal.Signals) -> None:
    process.send_signal(ending)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Slurm:
    """`environment` is what its commands need to find it."""

    environment: dict[str, str]

    def run(self, *command: str) -> str:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **self.environment},
        )
        return ran.stdout


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """Its folder is in /tmp by name: the path of a socket may not be long."""
    pytest.importorskip("submitit", reason="sweeps on Slurm: .venv/bin/pip install -e '.[slurm]'")
    munged, slurmctld, slurmd, *_ = needed(
        *("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo"),
        packages="slurmctld slurmd munge",
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp")))
        for name in ("state", "spool"):
            (folder / name).mkdir()
        folder.chmod(0o755)
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        settings = {"host": socket.gethostname().split(".")[0], "user": getpass.getuser()}
        ports = {"controller": free_port(), "node": free_port()}
        conf = folder / "slurm.conf"
        conf.write_text(SLURM_CONF.format(folder=folder, **settings, **ports))
        slurm = Slurm({"SLURM_CONF": str(conf)})
        environment = {**os.environ, **slurm.environment}
        daemons = Daemons(stack, folder)
        munge = ["--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
        munge += [f"--pid-file={folder}/munge.pid", f"--seed-file={folder}/munge.seed"]
        log = daemons.start([munged, *munge, f"--log-file={folder}/munge.log"])
        wait_for("munged", (folder / "munge.socket").exists, log)
        daemons.start([slurmctld, "-D", "-f", str(conf)], env=environment)
        daemons.start([slurmd, "-D", "-f", str(conf), "-N", settings["host"]], env=environment)

        def idle() -> bool:
            try:
                return slurm.run("sinfo", "-h", "-o", "%T").strip() == "idle"
            except subprocess.CalledProcessError:
                return False

        wait_for("slurm", idle, folder / "slurmd.log")
        yield slurm
        slurm.run("scancel", f"--user={settings['user']}")
        deadline = time.monotonic() + START_S
        while not idle() and time.monotonic() < deadline:  # else its jobs' keepers would stay
            time.sleep(0.2)


@dataclass(frozen=True)
class Postgres:
    """A cluster in which the user `bilevel` may make databases, with a password."""

    port: int
    password: str
    administer: Callable[[str], None]

    def uri(self, database: str, password: str | None = None) -> str:
        secret = self.password if password is None else password
        return f"postgresql+psycopg://bilevel:{secret}@127.0.0.1:{self.port}/{database}"


def _owner() -> dict[str, object]:
    """How subprocess runs a program as an ordinary user."""
    return {"user": OWNER, "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    driver = "PostgreSQL's driver: .venv/bin/pip install -e '.[postgres]'"
    pytest.importorskip("psycopg", reason=driver)
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places or not (places[-1] / "initdb").exists():
        pytest.skip("initdb not installed: apt-get install postgresql")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp")))
        owner = _owner()
        if owner:
            shutil.chown(folder, OWNER)
        port, data = free_port(), folder / "data"
        initdb = [str(places[-1] / "initdb"), "-D", str(data), "-U", "admin", "--no-sync"]
        initdb += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **owner)  # type: ignore[call-overload]
        server = [str(places[-1] / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
        server += ["-h", "127.0.0.1", "-c", "fsync=off"]
        fast = signal.SIGINT  # SIGTERM would wait for every client to leave
        log = Daemons(stack, folder).start(server, fast, cwd=folder, **owner)

        def administer(statement: str) -> None:
            import psycopg

            address = f"host={folder} port={port} user=admin dbname=postgres"
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(statement)

        def answers() -> bool:
            import psycopg

            try:
                administer("SELECT 1")
            except psycopg.OperationalError:
                return False
            return True

        wait_for("PostgreSQL", answers, log)
        made = Postgres(port, secrets.token_hex(8), administer)
        administer(f"CREATE ROLE bilevel LOGIN CREATEDB PASSWORD '{made.password}'")
        yield made


@pytest.fixture
def database(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """The address of an empty database of one's own."""
    name = f"d{secrets.token_hex(6)}"
    postgres.administer(f"CREATE DATABASE {name} OWNER bilevel")
    return postgres.uri(name)
