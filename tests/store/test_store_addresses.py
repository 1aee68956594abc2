import pytest

from windlass.errors import OperatorError
from windlass.store.address import parse_address


def test_a_folder_is_read_from_a_chdb_url():
    address = parse_address("chdb:///data/click%20house/", database="w")
    assert (address.is_embedded, address.folder, address.database) == (True, "/data/click house", "w")


def test_a_folder_s_url_may_name_the_database():
    assert parse_address("chdb:///data?database=other", database="w").database == "other"


def test_a_server_is_read_from_an_http_url():
    address = parse_address("https://us%40er:p%2Fw@db.example:8443/mine", database="w")
    assert (address.host, address.port, address.user, address.password, address.database, address.secure) == (
        "db.example",
        8443,
        "us@er",
        "p/w",
        "mine",
        True,
    )


def test_a_url_survives_being_written_and_read_again():
    address = parse_address("http://a:b%40c%2F@h:1234/d", database="w")
    assert parse_address(address.url, database="x") == address


@pytest.mark.parametrize(("port", "other"), [(9000, "8123"), (9440, "8443")])
def test_a_port_of_the_native_protocol_is_refused_with_the_http_port_named(port, other):
    with pytest.raises(OperatorError) as caught:
        parse_address(f"http://h:{port}/d", database="w")
    assert other in caught.value.hint


@pytest.mark.parametrize(
    "url", ["chdb://relative/x", "clickhouse://h/d", "h:8123", "http:///d", "http://h:99999/d"]
)
def test_what_is_no_address_is_refused_with_a_hint(url):
    with pytest.raises(OperatorError):
        parse_address(url, database="w")


def test_a_password_stands_in_no_message():
    address = parse_address("http://u:geheim@h:8123/d", database="w")
    assert "geheim" not in address.safe
    with pytest.raises(OperatorError) as caught:
        parse_address("http://u:geheim@h:9000/d", database="w")
    assert "geheim" not in str(caught.value) + caught.value.hint
