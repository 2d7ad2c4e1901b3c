"""DynamoDB servers behind a socket: a MiniStack process and AWS's DynamoDB Local.

They are what races between processes need. How a process is tied to the session is `leash`; which tests run on them is
pytest's matter. Nothing is installed on the machine: DynamoDB Local's jars go to the ignored folder `.cache`.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, ClassVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from testbed import lifeline, wire
from testbed.servers import Server, connect

CACHE = Path(__file__).parents[2] / ".cache"
DYNAMODB_LOCAL_VERSION = "2.6.1"
DYNOXIDE_VERSION = "3.2.0"
BUILD = ["install", "dynoxide-rs", "--version", DYNOXIDE_VERSION, "--root", "made", "--target-dir", "target"]
FETCH = ["-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory=made", "-DincludeScope=runtime"]
START_SECONDS = 60


class Emulator(Server):
    """A server that is a process on a free port, on a leash."""

    serves_processes: ClassVar[bool] = True

    def __init__(self) -> None:
        self._held = ExitStack()

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """The command line that serves on this port."""

    @abstractmethod
    def environment(self, port: int) -> Mapping[str, str]:
        """What the command needs in its environment, beyond ours."""

    def start(self) -> None:
        port = _free_port()
        self.endpoint_url = f"http://127.0.0.1:{port}"
        with ExitStack() as held:
            log = held.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                [sys.executable, lifeline.__file__, *self.command(port)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment(port)},
                start_new_session=True,
            )
            held.enter_context(process)  # leaving it closes the leash and waits for the end
            self._wait_until_it_answers(process, log)
            self._held = held.pop_all()

    def stop(self) -> None:
        self._held.close()

    def transport(self) -> wire.Transport | None:
        return None

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
        quick = Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1})
        client = connect("dynamodb", self.endpoint_url, quick)
        for _ in range(START_SECONDS * 10):
            try:
                client.list_tables()
                return
            except (BotoCoreError, ClientError):
                if _ended_within(process, 0.1):
                    break
        log.seek(0)
        raise RuntimeError(f"{self.name} did not start:\n{log.read().decode(errors='replace')[-4000:]}")


class MiniStackHttp(Emulator):
    """MiniStack as a process of its own: all its services, reachable from other processes."""

    name = "ministack-http"

    def missing(self) -> str | None:
        return None

    def command(self, port: int) -> list[str]:
        return [sys.executable, "-m", "ministack"]

    def environment(self, port: int) -> Mapping[str, str]:
        quiet = {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "LOG_LEVEL": "WARNING"}
        return quiet | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"}


class DynamoDBLocal(Emulator):
    """AWS's own emulator: the second opinion for conditions, transactions and races."""

    name = "dynamodb-local"
    has_sqs = False

    def missing(self) -> str | None:
        if not shutil.which("java"):
            return "Java 17 is missing; install a Java runtime."
        if not shutil.which("mvn") and not _jars().exists():
            return "Maven is missing, which fetches DynamoDB Local; install mvn."
        return None

    def start(self) -> None:
        _made_once(_jars(), ["mvn", *FETCH], {"pom.xml": POM})
        super().start()

    def environment(self, port: int) -> Mapping[str, str]:
        return {}

    def command(self, port: int) -> list[str]:
        jvm = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g", f"-Djava.library.path={_jars()}"]
        main = ["-cp", f"{_jars()}/*", "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"]
        return [*jvm, *main, "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]


class Dynoxide(Emulator):
    """The emulator that agrees with AWS on capacity, built with cargo in some minutes: the judge of the meter."""

    name = "dynoxide"
    has_sqs = False

    def missing(self) -> str | None:
        if not shutil.which("cargo") and not _dynoxide().exists():
            return "cargo is missing, which builds dynoxide; install Rust."
        return None

    def start(self) -> None:
        _made_once(_dynoxide(), ["cargo", *BUILD], {})
        super().start()

    def environment(self, port: int) -> Mapping[str, str]:
        return {}

    def command(self, port: int) -> list[str]:
        return [str(_dynoxide() / "bin" / "dynoxide"), "--port", str(port)]


def _jars() -> Path:
    return CACHE / f"dynamodb-local-{DYNAMODB_LOCAL_VERSION}"


def _dynoxide() -> Path:
    return CACHE / f"dynoxide-{DYNOXIDE_VERSION}"


POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>cascade-flow</groupId><artifactId>testbed</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId>
      <version>{DYNAMODB_LOCAL_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def _made_once(folder: Path, command: list[str], files: Mapping[str, str]) -> None:
    """Let a command make a folder, once. Two sessions may do so at the same time: it appears whole or not at all."""
    if folder.exists():
        return
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="making-") as workshop:
        for name, text in files.items():
            (Path(workshop) / name).write_text(text)
        subprocess.run(command, cwd=workshop, check=True, stdin=subprocess.DEVNULL)
        try:
            (Path(workshop) / "made").rename(folder)
        except OSError:
            if not folder.exists():
                raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ended_within(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
