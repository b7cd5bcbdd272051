"""Settings: read once, checked as a whole, and refused by name without ever telling a value."""

from pathlib import Path

import pytest

from mina_gql.settings import BadSetting, Settings, load

KEY, JWT = "k" * 32, "j" * 32
DATABASE = "postgresql://mina:hunter2@db.example/mina"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only what a test sets itself."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MINA_{name.upper()}", raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting) as refused:
        load()
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__  # pydantic's own error quotes the value
    return str(refused.value)


# ---------------------------------------------------------------- the embedded default


def test_nothing_set_is_the_embedded_default_on_loopback():
    settings = load()
    assert settings.embedded
    assert settings.loopback
    assert (settings.home, settings.base_url) == (Path(".mina"), "http://127.0.0.1:8000")
    assert (settings.rate_limits, settings.log_level, settings.offline_vendors) == ("on", "info", None)
    assert (settings.trusted_proxies, settings.allowed_origins, settings.secret_key) == ((), (), None)


def test_an_empty_database_url_is_none(monkeypatch):
    monkeypatch.setenv("MINA_DATABASE_URL", "")
    assert load().embedded


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("10.1.2.3", False)]
)
def test_loopback_is_this_machine_only(host, loopback):
    assert load(host=host).loopback is loopback


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"port": 9000}, "http://127.0.0.1:9000"),
        ({"host": "::1"}, "http://[::1]:8000"),
        ({"public_url": "https://api.example/"}, "https://api.example"),
        ({"public_url": "http://api.example:8080/mina/"}, "http://api.example:8080/mina"),
    ],
)
def test_where_clients_reach_this_server(given, url):
    assert load(**given).base_url == url


# ---------------------------------------------------------------- where values come from


def test_the_environment_is_read_and_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text(
        "MINA_PORT=9001\nMINA_HOST=localhost\nMINA_SHOPIFY_ADMIN_TOKEN=file-token\nSOMETHING_ELSE=1\nMINA_UNKNOWN=1\n"
    )
    monkeypatch.setenv("MINA_PORT", "9002")
    settings = load()
    assert (settings.port, settings.host) == (9002, "localhost")
    assert settings.shopify_admin_token is not None
    assert settings.shopify_admin_token.get_secret_value() == "file-token"


def test_the_command_line_wins_over_both_where_it_says_something(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("MINA_PORT=9001\n")
    monkeypatch.setenv("MINA_HOST", "localhost")
    settings = load(port=9003, host=None)
    assert (settings.port, settings.host) == (9003, "localhost")


def test_lists_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("MINA_ALLOWED_ORIGINS", " https://a.example, http://localhost:5173 ,")
    monkeypatch.setenv("MINA_TRUSTED_PROXIES", "10.0.0.0/8,::1, 192.168.1.7")
    settings = load()
    assert settings.allowed_origins == ("https://a.example", "http://localhost:5173")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1", "192.168.1.7")


def test_a_database_of_one_s_own_needs_a_secret_key(monkeypatch):
    said = refusal(monkeypatch, MINA_DATABASE_URL=DATABASE)
    assert "MINA_SECRET_KEY must be set" in said
    assert "hunter2" not in said
    monkeypatch.setenv("MINA_SECRET_KEY", KEY)
    settings = load()
    assert not settings.embedded
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == DATABASE


def test_secrets_do_not_show_when_settings_are_printed():
    settings = load(
        database_url=DATABASE,
        secret_key=KEY,
        supabase_jwt_secret=JWT,
        shopify_webhook_secrets="hook-1",
        shopify_admin_token="token-1",
    )
    printed = f"{settings!r} {settings} {settings.model_dump()}"
    assert not [secret for secret in ("hunter2", KEY, JWT, "hook-1", "token-1") if secret in printed]


# ---------------------------------------------------------------- refusals

BAD = [
    ("MINA_PORT", "hunter2", "valid integer"),
    ("MINA_PORT", "0", "greater than or equal to 1"),
    ("MINA_PORT", "65536", "less than or equal to 65535"),
    ("MINA_DATABASE_URL", "mysql://u:hunter2@db/x", "must start with postgresql://"),
    ("MINA_DATABASE_DIRECT_URL", "hunter2", "must start with postgresql://"),
    ("MINA_SECRET_KEY", "hunter2", "must be 32 bytes or more"),
    ("MINA_SECRET_KEY", "", "must be 32 bytes or more"),
    ("MINA_SUPABASE_JWT_SECRET", "hunter2", "must be 32 bytes or more"),
    ("MINA_SUPABASE_URL", "hunter2.supabase.example", "must be an absolute http or https URL"),
    ("MINA_SUPABASE_CONFIRMS_EMAIL", "hunter2", "valid boolean"),
    ("MINA_SHOPIFY_API_URL", "hunter2", "must be an absolute http or https URL"),
    ("MINA_PUBLIC_URL", "hunter2.example", "must be an absolute http or https URL"),
    ("MINA_PUBLIC_URL", "ftp://hunter2.example", "must be an absolute http or https URL"),
    ("MINA_PUBLIC_URL", "https://hunter2.example?a=1", "must be an absolute http or https URL"),
    ("MINA_PUBLIC_URL", "http://[hunter2]", "must be an absolute http or https URL"),
    ("MINA_PUBLIC_URL", "http://[::1", "must be an absolute http or https URL"),
    ("MINA_ALLOWED_ORIGINS", "https://a.example,hunter2", "must be origins such as"),
    ("MINA_ALLOWED_ORIGINS", "https://a.example/hunter2", "must be origins such as"),
    ("MINA_ALLOWED_ORIGINS", "https://[hunter2]", "must be origins such as"),
    ("MINA_ALLOWED_ORIGINS", "*", "must be origins such as"),
    ("MINA_TRUSTED_PROXIES", "10.0.0.1,hunter2", "must be addresses or networks"),
    ("MINA_TRUSTED_PROXIES", "10.0.0.0/33", "must be addresses or networks"),
    ("MINA_RATE_LIMITS", "hunter2", "'on' or 'off'"),
    ("MINA_LOG_LEVEL", "hunter2", "'debug', 'info', 'warning' or 'error'"),
    ("MINA_OFFLINE_VENDORS", "hunter2", "valid boolean"),
]


@pytest.mark.parametrize(("name", "value", "says"), BAD)
def test_a_bad_setting_is_named_and_explained_and_its_value_stays_untold(monkeypatch, name, value, says):
    said = refusal(monkeypatch, **{name: value})
    assert said.startswith(f"{name}: ")
    assert says in said
    assert "hunter2" not in said
    assert "\n" not in said


def test_all_that_is_wrong_is_said_at_once(monkeypatch):
    said = refusal(monkeypatch, MINA_PORT="x", MINA_SECRET_KEY="short", MINA_LOG_LEVEL="loud").splitlines()
    assert sorted(line.partition(":")[0] for line in said) == ["MINA_LOG_LEVEL", "MINA_PORT", "MINA_SECRET_KEY"]


def test_a_bad_value_in_the_file_is_refused_the_same_way(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("MINA_SECRET_KEY=hunter2\n")
    assert "hunter2" not in refusal(monkeypatch)


def test_a_bad_value_of_the_command_line_is_refused_the_same_way():
    with pytest.raises(BadSetting, match=r"^MINA_PORT: "):
        load(port=70_000)


def test_a_secret_s_length_counts_in_bytes():
    assert load(secret_key="é" * 16).secret_key is not None
