"""Settings: what the environment says, and what it may not say."""

import pytest

from windlass.config import Settings, load_settings
from windlass.errors import OperatorError


def test_an_empty_environment_means_the_embedded_store_below_the_root():
    settings = load_settings({"WINDLASS_ROOT": "/srv/windlass"})
    assert settings.store_url == "chdb:///srv/windlass/clickhouse"


def test_the_root_may_be_below_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/srv/someone")
    assert str(load_settings({}).home) == "/srv/someone/.windlass"


def test_values_are_parsed_to_their_types():
    settings = load_settings({"WINDLASS_FSYNC": "false", "WINDLASS_MEMORY_MB": "512"})
    assert (settings.fsync, settings.memory_mb) == (False, 512)


def test_the_process_environment_is_read_when_none_is_given(monkeypatch):
    monkeypatch.setenv("WINDLASS_DEPTH_MAX", "3")
    assert load_settings().depth_max == 3


def test_a_given_environment_hides_the_process_environment(monkeypatch):
    monkeypatch.setenv("WINDLASS_DEPTH_MAX", "3")
    assert load_settings({}).depth_max == Settings.model_fields["depth_max"].default


def test_an_unknown_name_is_an_error_that_suggests_the_nearest():
    with pytest.raises(OperatorError, match="WINDLASS_FSYCN is not a setting") as caught:
        load_settings({"WINDLASS_FSYCN": "true"})
    assert caught.value.hint == "did you mean WINDLASS_FSYNC?"


def test_an_unknown_name_like_no_other_points_to_the_list():
    with pytest.raises(OperatorError) as caught:
        load_settings({"WINDLASS_QQQQQQQQ": "true"})
    assert ".env.example" in caught.value.hint


def test_other_programs_names_are_left_alone():
    assert load_settings({"PATH": "/bin", "WINDLASSES": "2"}) == load_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WINDLASS_RETENTION_DAYS", "0"),
        ("WINDLASS_CLICKHOUSE_PORT", "http"),
        ("WINDLASS_CLICKHOUSE_PORT", "70000"),
        ("WINDLASS_LOG_LEVEL", "loud"),
        ("WINDLASS_FSYNC", "perhaps"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_setting_and_the_value(name, value):
    with pytest.raises(OperatorError) as caught:
        load_settings({name: value})
    assert name in caught.value.message
    assert repr(value) in caught.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WINDLASS_SERVICE_HOST", "10.0.0.7"),
        ("WINDLASS_SERVICE_PORT", "8000"),
        ("WINDLASS_SERVICE_PORT_HTTP", "8000"),
        ("WINDLASS_PORT", "tcp://10.0.0.7:8000"),
        ("WINDLASS_PORT_8000_TCP", "tcp://10.0.0.7:8000"),
        ("WINDLASS_PORT_8000_TCP_ADDR", "10.0.0.7"),
        ("WINDLASS_PORT_8000_TCP_PORT", "8000"),
        ("WINDLASS_PORT_8000_TCP_PROTO", "tcp"),
    ],
)
def test_what_kubernetes_injects_for_a_service_called_windlass_is_let_through(name, value):
    assert load_settings({name: value}) == load_settings({})


def test_a_service_called_windlass_clickhouse_does_not_set_the_port():
    injected = {
        "WINDLASS_CLICKHOUSE_PORT": "tcp://10.0.0.7:8123",
        "WINDLASS_CLICKHOUSE_SERVICE_HOST": "10.0.0.7",
    }
    assert load_settings(injected).clickhouse_port == 8123


def test_what_kubernetes_injects_is_let_through_in_the_process_environment_too(monkeypatch):
    monkeypatch.setenv("WINDLASS_CLICKHOUSE_PORT", "tcp://10.0.0.7:8123")
    assert load_settings().clickhouse_port == 8123


def test_a_url_wins_over_its_parts():
    settings = load_settings(
        {"WINDLASS_CLICKHOUSE_URL": "http://one:8123/db", "WINDLASS_CLICKHOUSE_HOST": "other"}
    )
    assert settings.store_url == "http://one:8123/db"


def test_a_url_is_made_of_the_parts_when_a_host_is_given():
    settings = load_settings(
        {
            "WINDLASS_CLICKHOUSE_HOST": "db.example",
            "WINDLASS_CLICKHOUSE_PORT": "18123",
            "WINDLASS_CLICKHOUSE_USER": "ann",
            "WINDLASS_CLICKHOUSE_PASSWORD": "p@ss:w/rd",
            "WINDLASS_CLICKHOUSE_DATABASE": "flows",
        }
    )
    assert settings.store_url == "http://ann:p%40ss%3Aw%2Frd@db.example:18123/flows"
