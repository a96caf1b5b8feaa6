"""Where Redis is, and how to log in: URLs, the environment, TLS, sockets, passwords that change."""

from __future__ import annotations

import datetime
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from wqlib.errors import QueueError, RedisRefused, RedisUnreachable, WqlibError
from wqlib.queue import WorkQueue
from wqlib.queue.address import Address, PasswordFile, place
from wqlib.queue.wire import Refusal, Wire
from wqlib.redisserver import RedisServer
from wqlib.worker import Worker

MARK = "hunter2"


@pytest.fixture(autouse=True)
def no_redis_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "HOST", "PORT", "USERNAME", "PASSWORD", "PASSWORD_FILE"):
        for prefix in ("WQLIB_REDIS", "REDIS", "REDIS_SERVICE"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)


# -- URLs

SAME_AS_REDIS_PY = [
    "redis://h",
    "redis://h:1234/5",
    "redis://h?db=3",
    "redis://h/?db=3",
    "redis://:p%23%2F%3F%40%3A%5B%5D%25%2B@h/0",
    "redis://user%40corp:p@h",
    "redis://h?username=me&password=p%2Bw+x",
    "redis://[::1]:6380/1",
    "redis://[::1]",
    "redis://h?socket_connect_timeout=3&client_name=me&socket_keepalive=no",
    "rediss://h:1/2?ssl_cert_reqs=none",
    "rediss://h?ssl_cert_reqs=optional&ssl_check_hostname=false&ssl_ca_path=/&ssl_min_version=771",
    "unix:///run/redis.sock",
    "unix://me:p%2Fw@/run/my%20redis.sock?db=2",
]


def assert_same_as_redis_py(url: str) -> None:
    theirs = redis.Redis.from_url(url).connection_pool.make_connection()
    ours = Address.from_url(url).connection(3.0)
    assert type(ours) is type(theirs)
    for name in (
        *("host", "port", "path", "db", "client_name", "socket_keepalive"),
        *("socket_connect_timeout",) * ("?socket_connect" in url),
        *("ca_certs", "ca_path", "cert_reqs", "check_hostname", "ssl_min_version"),
    ):
        assert getattr(ours, name, None) == getattr(theirs, name, None), name
    for name in ("username", "password"):
        assert (getattr(ours, name) or None) == (getattr(theirs, name) or None), name


@pytest.mark.parametrize("url", SAME_AS_REDIS_PY)
def test_a_url_means_what_it_means_to_redis_py(url: str) -> None:
    assert_same_as_redis_py(url)


_QUOTED = st.text(min_size=1, max_size=12).map(lambda text: quote(text, safe=""))


@given(
    scheme=st.sampled_from(["redis://", "rediss://"]),
    login=st.sampled_from(["{0}:{1}@", ":{1}@", "{0}@", ""]),
    user=_QUOTED,
    password=_QUOTED,
    host=st.sampled_from(["h", "redis.example", "10.0.0.1", "[::1]", "[2001:db8::7]"]),
    port=st.sampled_from(["", ":1", ":6380", ":65535"]),
    db=st.sampled_from(["", "/", "/0", "/15", "?db=7", "/?db=7", "?db=7&client_name=me"]),
)
def test_any_url_means_what_it_means_to_redis_py(
    scheme: str, login: str, user: str, password: str, host: str, port: str, db: str
) -> None:
    assert_same_as_redis_py(scheme + login.format(user, password) + host + port + db)


@given(
    scheme=st.sampled_from(["redis://", "rediss+sentinel://", "unix://", "x", ""]),
    rest=st.lists(st.sampled_from([*"@:/?#[]%,&=+ 19\n\0", "h", "db", MARK, "\ud800"])),
)
def test_whatever_is_written_is_an_address_or_a_value_error(scheme: str, rest: list[str]) -> None:
    try:
        assert Address.from_url(scheme + "".join(rest)).port
    except ValueError as error:
        told = str(error)
        assert MARK not in re.sub("option '.*', which", "", told)


@pytest.mark.parametrize(
    ("url", "service", "sentinels", "db"),
    [
        ("redis+sentinel://s1:1,s2:2/mymaster/3", "mymaster", (("s1", 1), ("s2", 2)), 3),
        ("redis+sentinel://:pw@s1/m?db=4", "m", (("s1", 26379),), 4),
        ("redis+sentinel://[::1]:7,s2/m", "m", (("::1", 7), ("s2", 26379)), 0),
        ("rediss+sentinel://s1/a%20b?ssl_ca_certs=/x", "a b", (("s1", 26379),), 0),
    ],
)
def test_sentinels_and_the_name_of_their_primary(
    url: str, service: str, sentinels: tuple[tuple[str, int], ...], db: int
) -> None:
    address = Address.from_url(url)
    assert (address.service, address.sentinels, address.db) == (service, sentinels, db)
    assert address.tls == url.startswith("rediss")
    assert str(address).startswith(f"{service} of ")
    assert address.override(host="there").sentinels == ()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://h?dB=3", "option 'dB', which has no meaning"),
        ("redis://h?max_connections=3", "'max_connections'.* Use one of these: db, password, "),
        ("redis://h?ssl_ca_certs=/x", r"'ssl_ca_certs', which has no meaning .* with redis://\."),
        ("unix:///x?socket_keepalive=1", "'socket_keepalive'"),
        ("redis://h?sentinel_password=x", "'sentinel_password'"),
        (f"redis://h?db={MARK}", "wrong value for the option db"),
        ("redis://h?db=-1", "db of Redis must be a number from 0"),
        ("redis://h/1?db=3", "gives db twice"),
        ("redis://h?db=3&db=3", "has the option db twice"),
        (f"redis://:x@h?password={MARK}", "gives password twice"),
        (f"redis://:{MARK}@h?password_file=/x", "password_file too"),
        (f"redis://h?socket_timeout={MARK}", "wrong value for the option socket_timeout"),
        ("redis://h?socket_timeout=0", "wrong value for the option socket_timeout"),
        ("redis://h?socket_timeout=inf", "wrong value for the option socket_timeout"),
        ("rediss://h?ssl_cert_reqs=perhaps", "wrong value for the option ssl_cert_reqs"),
        ("rediss://h?ssl_check_hostname=maybe", "wrong value for the option ssl_check_hostname"),
        ("rediss://h?ssl_exclude_verify_flags=X", "value for the option ssl_exclude_verify_flags"),
        ("redis://h:0", "port is not a number from 1 to 65535"),
        ("redis://h:65536", "port is not a number from 1 to 65535"),
        ("redis://h:1/one", "not a database number"),
        ("redis://h:1/1/2", "not a database number"),
        ("redis://h1,h2", "host or port is malformed"),
        ("redis://[::1", "host or port is malformed"),
        ("redis://::1", "host or port is malformed"),
        ("redis://h#x", "it has a # or @"),
        ("unix://run/redis.sock", "no absolute path"),
        ("unix://", "no absolute path"),
        ("redis+sentinel://s1:1,s2:2", "lacks the sentinels, or the name of the primary"),
        ("redis+sentinel:///m", "lacks the sentinels, or the name of the primary"),
        ("redis+sentinel://s1,/m", "lacks the sentinels, or the name of the primary"),
        ("redis+cluster://h", "begins with none of redis://, rediss://"),
        ("h:6379", "begins with none of redis://, rediss://"),
    ],
)
def test_what_a_url_says_and_we_cannot_obey_is_refused(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        WorkQueue("q", url=url)
    assert MARK not in str(caught.value)


def test_producer_and_worker_use_the_same_database(redis_server: RedisServer) -> None:
    url = f"{redis_server.url.removesuffix('/0')}/?db=3"
    with WorkQueue("job db", url=url) as queue, redis.Redis.from_url(url) as client:
        queue.put("a")
        assert client.lrange("job db", 0, -1) == [b"a"]
        client.flushdb()


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"port": "tcp://10.0.0.1:6379"}, ValueError, "port of Redis must be a number from 1"),
        ({"port": 70000}, ValueError, "port of Redis must be a number from 1 to 65535"),
        ({"port": 0}, ValueError, "port of Redis must be a number from 1"),
        ({"host": b"h"}, TypeError, "host of Redis must be text, not bytes"),
        ({"host": f"redis://:{MARK}@h"}, ValueError, "Pass a URL as url="),
        ({"host": f"{MARK}@"}, ValueError, "Pass a URL as url="),
        ({"host": "h\0"}, ValueError, "host of Redis must be a name or an address"),
        ({"password": 7}, TypeError, "password of Redis must be text, or a function .* not int"),
        ({"username": b"me"}, TypeError, "username of Redis must be text, not bytes"),
        ({"url": b"redis://h"}, TypeError, "url must be text or an Address, not bytes"),
    ],
)
def test_arguments_of_other_kinds_are_refused(
    given: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        WorkQueue("q", **given)
    assert MARK not in str(caught.value)


def test_a_place_is_told_so_that_it_can_be_typed() -> None:
    assert place("h", 1) == "h:1"
    assert place("::1", 1) == "[::1]:1"
    assert place("/run/redis.sock", 1) == "/run/redis.sock"


# -- the environment


@pytest.mark.parametrize("port", ["tcp://10.0.0.1:6379", "0", "65536", "-1", "6379.0", " ", "x"])
def test_a_variable_that_is_no_port_is_named(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("REDIS_SERVICE_PORT", port)
    with pytest.raises(ValueError, match="REDIS_SERVICE_PORT is not a port number"):
        Address.from_environment()


def test_two_sources_of_a_password_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", MARK)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", "/x")
    with pytest.raises(ValueError, match="REDIS_PASSWORD or REDIS_PASSWORD_FILE, not both"):
        Address.from_environment()


def test_a_url_of_sentinels_takes_its_password_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WQLIB_REDIS_URL", "redis+sentinel://s1,s2/mymaster")
    monkeypatch.setenv("REDIS_PASSWORD", "p")
    address = Address.from_environment()
    assert (address.password, address.service) == ("p", "mymaster")
    assert (address.login_from, len(address.sentinels)) == ("REDIS_PASSWORD", 2)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "No such file"),
        (Path.mkdir, "directory"),
        (lambda path: path.write_text("\n"), "it is empty"),
        (lambda path: path.write_bytes(b"\xff"), "it is not UTF-8"),
    ],
)
def test_a_file_without_a_password_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path / "password")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    with (
        WorkQueue("q", patience_seconds=600) as queue,
        pytest.raises(QueueError, match=f"{tmp_path}/password: .*{told}"),
    ):
        queue.stats()


# -- TLS, Unix sockets, IPv6


class Certificates:
    """Certificates in files: of an authority, a server, a client, and of strangers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours, other = trustme.CA(), trustme.CA()
        self.ca, self.other_ca = self.write("ca", ours.cert_pem), self.write("x", other.cert_pem)
        self.server = self.pair("server", ours.issue_cert("127.0.0.1", "localhost"))
        self.elsewhere = self.pair("elsewhere", ours.issue_cert("redis.example"))
        self.client = self.pair("client", ours.issue_cert("me@here.example"))
        self.stranger = self.pair("stranger", other.issue_cert("me@here.example"))
        self.self_signed = self.other_ca, self.write("x key", other.private_key_pem)
        long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        expired = ours.issue_cert("127.0.0.1", not_before=long_ago, not_after=long_ago)
        self.expired = self.pair("expired", expired)
        key = load_pem_private_key(self.client[1].read_bytes(), None)
        hidden = BestAvailableEncryption(b"open it")
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
        self.hidden_key = self.write("hidden key", trustme.Blob(pem))

    def write(self, name: str, *blobs: trustme.Blob) -> Path:
        path = self.folder / f"{name}.pem"
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return path

    def pair(self, name: str, cert: trustme.LeafCert) -> tuple[Path, Path]:
        return (
            self.write(name, *cert.cert_chain_pems),
            self.write(f"{name} key", cert.private_key_pem),
        )

    def serve(self, pair: tuple[Path, Path], clients: str = "no") -> RedisServer:
        """A Redis with TLS at `tls_port`, without at `port`, and with a Unix socket."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        certificate, key = pair
        try:
            server = RedisServer(
                settings=(
                    f"tls-port {port}",
                    f'tls-cert-file "{certificate}"',
                    f'tls-key-file "{key}"',
                    f'tls-ca-cert-file "{self.ca}"',
                    f"tls-auth-clients {clients}",
                    "unixsocket redis.sock",
                    "bind 127.0.0.1 -::1",
                )
            )
        except WqlibError as error:
            if re.search("directive|TLS support", str(error)):
                pytest.skip("this redis-server was built without TLS")
            raise
        server.tls_port = port  # type: ignore[attr-defined]
        return server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def servers(certificates: Certificates) -> Iterator[dict[str, RedisServer]]:
    with (
        certificates.serve(certificates.server) as good,
        certificates.serve(certificates.elsewhere) as elsewhere,
        certificates.serve(certificates.server, "yes") as mutual,
        certificates.serve(certificates.self_signed) as self_signed,
        certificates.serve(certificates.expired) as expired,
    ):
        yield {
            "good": good,
            "elsewhere": elsewhere,
            "mutual": mutual,
            "self-signed": self_signed,
            "expired": expired,
        }


def tls_url(server: Any, options: str, *, login: bool = True) -> str:
    password = f":{server.password}@" if login else ""
    return f"rediss://{password}127.0.0.1:{server.tls_port}/0?{options}"


OPEN = "ssl_password=open+it"
TRUST = "ssl_ca_certs={0.ca}"
OURS = "&ssl_certfile={0.client[0]}&ssl_keyfile={0.client[1]}"
STRANGE = "&ssl_certfile={0.stranger[0]}&ssl_keyfile={0.stranger[1]}"


@pytest.mark.parametrize(
    ("server", "options"),
    [
        ("good", TRUST),
        ("good", "ssl_cert_reqs=none"),
        ("elsewhere", f"{TRUST}&ssl_check_hostname=false"),
        ("self-signed", "ssl_ca_certs={0.other_ca}&ssl_check_hostname=false"),
        ("mutual", TRUST + OURS),
        ("mutual", f"{TRUST}&ssl_certfile={{0.client[0]}}&ssl_keyfile={{0.hidden_key}}&{OPEN}"),
        ("good", f"{TRUST}&ssl_min_version=772&ssl_exclude_verify_flags=VERIFY_X509_STRICT"),
    ],
)
def test_a_queue_works_over_tls(
    servers: dict[str, RedisServer], certificates: Certificates, server: str, options: str
) -> None:
    url = tls_url(servers[server], options.format(certificates))
    with WorkQueue("job tls", url=url) as queue, queue.copy("other") as other:
        waiting = threading.Timer(0.2, other.put, ["apple"])
        waiting.start()
        lease = queue.lease(wait_seconds=60, until_drained=False)
        assert lease
        assert lease.item == b"apple"
        assert queue.complete_and_lease(lease) is None
        waiting.join()


@pytest.mark.parametrize("login", [True, False])
@pytest.mark.parametrize(
    ("server", "options", "told"),
    [
        ("good", "", r"signed by an unknown authority \(self.signed.*ssl_ca_certs=/path"),
        ("self-signed", "", "signed by an unknown authority .*self.signed"),
        ("expired", TRUST, "is not valid now .*expired.*correct the clock here"),
        ("good", "ssl_ca_certs={0.other_ca}", "signed by an unknown authority"),
        ("elsewhere", TRUST, "for another host .*'127.0.0.1'.*ssl_check_hostname=false"),
        ("mutual", TRUST, "requires a client certificate, and none was given"),
        ("mutual", TRUST + STRANGE, "rejected our client certificate"),
    ],
)
def test_a_certificate_that_does_not_fit_ends_at_once_and_in_words(
    servers: dict[str, RedisServer],
    certificates: Certificates,
    server: str,
    options: str,
    told: str,
    login: bool,
) -> None:
    url = tls_url(servers[server], options.format(certificates), login=login)
    with (
        WorkQueue("q", url=url, patience_seconds=600) as queue,
        pytest.raises(RedisRefused, match=told) as caught,
    ):
        queue.stats()
    assert str(servers[server].tls_port) in str(caught.value)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("ssl_ca_certs=/no/such", "ssl_ca_certs /no/such for TLS: No such file"),
        ("ssl_ca_path=/no/such", "ssl_ca_path /no/such for TLS: No such file"),
        ("ssl_ca_certs={0.client[1]}", "ssl_ca_certs .*client key.pem for TLS: no certificate"),
        ("ssl_ca_data=x", "ssl_ca_certs .ssl_ca_data. for TLS"),
        ("ssl_certfile=/no/such", "ssl_certfile /no/such for TLS: No such file"),
        ("ssl_certfile={0.client[0]}", "ssl_certfile .* for TLS: a certificate and its key"),
        ("ssl_keyfile={0.client[1]}", "ssl_keyfile for TLS without ssl_certfile"),
        (
            "ssl_certfile={0.client[0]}&ssl_keyfile={0.stranger[1]}",
            "ssl_certfile .* with ssl_keyfile .*stranger key.pem for TLS: key values mismatch",
        ),
        (
            "ssl_certfile={0.client[0]}&ssl_keyfile={0.hidden_key}",
            "ssl_certfile .*hidden key.pem for TLS: .* for an encrypted key ssl_password",
        ),
        ("ssl_ciphers=x", "ssl_ciphers for TLS"),
    ],
)
def test_a_file_that_is_no_use_for_tls_is_named(
    certificates: Certificates, options: str, told: str
) -> None:
    url = f"rediss://127.0.0.1:1?{options.format(certificates)}"
    with (
        WorkQueue("q", url=url, patience_seconds=600) as queue,
        pytest.raises(QueueError, match=f"Cannot use {told}"),
    ):
        queue.stats()


def test_a_server_that_breaks_off_under_tls_is_waited_for(
    certificates: Certificates,
) -> None:
    with certificates.serve(certificates.server) as server:
        url = tls_url(server, TRUST.format(certificates))
        with WorkQueue("q", url=url, patience_seconds=60) as queue:
            queue.put("apple")
            server.stop(crash=True)
            again = threading.Timer(0.3, server.start)
            again.start()
            assert queue.drained()  # it kept nothing
            again.join()


def test_tls_where_there_is_none_and_the_other_way_round(
    servers: dict[str, RedisServer],
) -> None:
    server = servers["good"]
    for url, told in (
        (f"redis://127.0.0.1:{server.tls_port}", "if it speaks TLS, use rediss://"),  # type: ignore[attr-defined]
        (f"rediss://127.0.0.1:{server.port}?socket_timeout=0.5", "does not speak TLS.*redis://"),
    ):
        with (
            WorkQueue("q", url=url, patience_seconds=1.0) as queue,
            pytest.raises(QueueError, match=told),
        ):
            queue.stats()


def test_who_is_no_redis_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            with other.accept()[0] as link:
                link.recv(1000)
                link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        port = other.getsockname()[1]
        with (
            WorkQueue("q", url=f"redis://127.0.0.1:{port}", patience_seconds=600) as queue,
            pytest.raises(RedisRefused, match=f"127.0.0.1:{port} is not Redis"),
        ):
            queue.stats()
        thread.join()


def test_a_queue_works_over_a_unix_socket(servers: dict[str, RedisServer]) -> None:
    server = servers["good"]
    path = server.folder / "redis.sock"
    url = f"unix://:{server.password}@{path}?db=2"
    with WorkQueue("job unix", url=url) as queue, redis.Redis.from_url(url) as client:
        queue.put("apple")
        assert client.llen("job unix") == 1
        lease = queue.lease(wait_seconds=60)
        assert lease
        queue.complete(lease)
        assert str(queue.address) == str(path)
    assert WorkQueue("q", host=str(path), password=server.password).drained()


def test_a_unix_socket_that_is_not_there_is_named() -> None:
    with (
        WorkQueue("q", host="/no/such.sock", patience_seconds=0.1) as queue,
        pytest.raises(RedisUnreachable, match=r"Redis at /no/such\.sock .*nothing listens there"),
    ):
        queue.stats()


def test_a_queue_works_over_ipv6(servers: dict[str, RedisServer]) -> None:
    server = servers["good"]
    try:
        socket.create_connection(("::1", server.port), 10).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with WorkQueue("q", url=f"redis://:{server.password}@[::1]:{server.port}/0") as queue:
        assert queue.drained()
        assert str(queue.address) == f"[::1]:{server.port}"


# -- logging in


@pytest.fixture(scope="module")
def own_server() -> Iterator[tuple[RedisServer, redis.Redis]]:
    """A server whose passwords a test may change, and who may do it."""
    with RedisServer() as server, redis.Redis.from_url(server.url) as admin:
        yield server, admin


_ANY = st.characters(codec="utf-8", exclude_characters="\0")
_NAMES = st.text(_ANY, min_size=1, max_size=20).filter(lambda s: not any(map(str.isspace, s)))


@settings(max_examples=40)
@given(user=_NAMES, password=st.text(_ANY, min_size=1, max_size=40))
def test_any_user_and_any_password_log_in_by_every_way(
    own_server: tuple[RedisServer, redis.Redis], user: str, password: str
) -> None:
    server, admin = own_server
    name = f"u{user}"  # no user `default`
    admin.execute_command("ACL", "SETUSER", name, "reset", "on", f">{password}", "+ping", "+auth")
    here, login = f"127.0.0.1:{server.port}", f"{quote(name, safe='')}:{quote(password, safe='')}"
    plain = Address(port=server.port)
    ways = [
        Address.from_url(f"redis://{login}@{here}"),
        Address.from_url(f"redis://{here}?username={quote(name)}&password={quote(password)}"),
        plain.override(username=name, password=password),
        plain.override(password=lambda: (name, password)),
        plain.override(username=name, password=lambda: password),
    ]
    if not password.endswith(("\r", "\n")):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
            file.write(f"{password}\r\n")
            file.flush()
            assert PasswordFile(file.name)() == password
    for address in ways:
        Wire(address.connection(30.0)).close()
    admin.execute_command("ACL", "DELUSER", name)


def test_a_connection_asks_for_no_right_to_use_client(
    own_server: tuple[RedisServer, redis.Redis],
) -> None:
    """Managed servers forbid it."""
    server, admin = own_server
    admin.config_resetstat()
    with WorkQueue("q", url=server.url) as queue:
        assert queue.drained()
    assert [name for name in admin.info("commandstats") if "client" in name] == []


def test_sentinels_are_logged_in_to_by_the_password_of_redis_unless_they_have_their_own() -> None:
    """They take a user's name and any password if they have none: as a Redis without one."""
    address = Address.from_url("redis+sentinel://me:pw@s1/m")
    own = Address.from_url("redis+sentinel://me:x@s1/m?sentinel_password=pw")
    with RedisServer() as server, redis.Redis.from_url(server.url) as admin:
        for password in ("", "pw"):
            admin.config_set("requirepass", password)
            for some in (address, own):
                Wire(some.sentinel_connection("127.0.0.1", server.port, 30.0)).close()
        other = address.override(password="other")
        with pytest.raises((redis.exceptions.AuthenticationError, Refusal), match="invalid user"):
            Wire(other.sentinel_connection("127.0.0.1", server.port, 30.0))


# -- passwords that change


@pytest.mark.parametrize("kind", ["a file", "a function"])
def test_a_worker_goes_on_when_the_password_is_rotated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "password"
    with RedisServer() as server, redis.Redis.from_url(server.url) as admin:
        file.write_text(f"{server.password}\n")
        monkeypatch.setenv("REDIS_SERVICE_PORT", str(server.port))
        source: dict[str, Any] = {}
        if kind == "a file":
            monkeypatch.setenv("REDIS_PASSWORD_FILE", str(file))
        else:
            source["password"] = lambda: ("default", file.read_text().strip())
        late: list[threading.Timer] = []

        def mount(password: str) -> None:
            """As Kubernetes does it: the file is whole at every moment."""
            (tmp_path / "next").write_text(password)
            (tmp_path / "next").replace(file)

        def process(item: bytes) -> bytes:
            if item.endswith(b"7"):
                new = f"new {item.decode()}"
                admin.config_set("requirepass", new)
                admin.client_kill_filter(_type="normal", skipme=True)
                late.append(threading.Timer(0.2, mount, [new]))
                late[-1].start()
            return item

        with WorkQueue("job2", patience_seconds=60, **source) as queue:
            queue.put([f"{n}" for n in range(30)])
            assert Worker(queue, process).run() == 0
            assert queue.stats().done == 30
        for timer in late:
            timer.join()
        assert len(late) == 3


def test_a_password_that_never_fitted_is_refused_at_once(
    own_server: tuple[RedisServer, redis.Redis], tmp_path: Path
) -> None:
    server, _ = own_server
    file = tmp_path / "password"
    file.write_text(MARK)
    url = f"redis://127.0.0.1:{server.port}?password_file={file}"
    with (
        WorkQueue("q", url=url, patience_seconds=600) as queue,
        pytest.raises(RedisRefused, match=f"came from the file {file}: put") as caught,
    ):
        queue.stats()
    assert MARK not in str(caught.value)


def test_a_function_that_fails_is_called_again_within_the_patience(
    own_server: tuple[RedisServer, redis.Redis],
) -> None:
    server, _ = own_server
    calls: list[None] = []

    def password() -> str:
        calls.append(None)
        if len(calls) < 3:
            raise TimeoutError(f"no token: {MARK}")
        return server.password

    with WorkQueue("q", port=server.port, password=password, patience_seconds=60) as queue:
        assert queue.drained()
    assert len(calls) == 3
    calls.clear()
    with (
        WorkQueue("q", port=server.port, password=password, patience_seconds=0.01) as queue,
        pytest.raises(RedisUnreachable, match="the password function raised Timeout") as caught,
    ):
        queue.drained()
    assert MARK not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 7, b"x", ("a", 7), ("a", "b", "c"), ()])
def test_a_function_that_returns_no_password_is_told_so(wrong: Any) -> None:
    with (
        WorkQueue("q", password=lambda: wrong, patience_seconds=600) as queue,
        pytest.raises(TypeError, match="must return text, or a pair"),
    ):
        queue.stats()
