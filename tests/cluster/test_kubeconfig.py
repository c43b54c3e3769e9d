"""Kubeconfigs as kubectl reads them: several files, contexts, client certificates, login plugins."""

from __future__ import annotations

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.cluster.credentials import authorization
from tidegate.cluster.kubeconfig import context_names, log_in
from tidegate.cluster.login_errors import LoginError

Obj = dict[str, Any]


def config(name: str, *, user: Obj | None = None, cluster: Obj | None = None, **context: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443", **(cluster or {})}}],
        "users": [{"name": name, "user": {"token": f"{name}-token"} if user is None else user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **context}}],
    }


def written(path: Path, content: Obj) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def test_several_files_are_one_and_the_first_counts(tmp_path: Path) -> None:
    first = written(tmp_path / "a", {**config("one", namespace="shop"), "current-context": "two"})
    again = config("one")
    again["clusters"][0]["cluster"]["server"] = "https://other"
    second = written(tmp_path / "b", {**config("two"), "current-context": "one"})
    third = written(tmp_path / "c", again)
    environ = {"KUBECONFIG": f"{first}:{tmp_path}/missing:{second}:{third}"}

    current, named = log_in(environ=environ), log_in(context="one", environ=environ)

    assert (current.context, current.credentials.server, current.namespace) == ("two", "https://two:6443", "default")
    assert (named.credentials.server, named.namespace, named.credentials.token) == (
        "https://one:6443",
        "shop",
        "one-token",
    )
    assert context_names(environ=environ) == ["one", "two"]
    alone = log_in(kubeconfig=str(third), context="one", environ=environ)
    assert alone.credentials.server == "https://other", "--kubeconfig is the only file then"


def test_paths_are_relative_to_their_file_and_data_wins(tmp_path: Path) -> None:
    user = {"client-certificate": "me.crt", "client-key": "keys/me.key"}
    both = {**user, "client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    content = {**config("one", user=user, cluster={"certificate-authority": "ca.crt"}), "current-context": "one"}
    file = written(tmp_path / "deep" / "config", content)

    found = log_in(kubeconfig=str(file)).credentials
    other = log_in(
        kubeconfig=str(written(tmp_path / "x", {**config("one", user=both), "current-context": "one"}))
    ).credentials

    assert found.ca_path == str(tmp_path / "deep" / "ca.crt")
    assert found.certificate_path == str(tmp_path / "deep" / "me.crt")
    assert found.private_key_path == str(tmp_path / "deep" / "keys" / "me.key")
    assert (other.certificate_path, other.certificate_data, other.private_key_data) == (None, "Y2VydA==", "a2V5")


@pytest.mark.parametrize(
    ("content", "context", "words"),
    [
        (config("one"), "", "no context is chosen"),
        (config("one"), "two", "there is no context 'two' in"),
        ({**config("one"), "clusters": []}, "one", "names the cluster 'one', which is not in"),
        ({**config("one"), "users": []}, "one", "names the user 'one', which is not in"),
        (config("one", user={"auth-provider": {"name": "gcp"}}), "one", "use the exec plugin"),
        (config("one", user={"as": "root"}), "one", "has as, which tidegate does not support"),
        (config("one", cluster={"tls-server-name": "x"}), "one", "has tls-server-name"),
        (config("one", cluster={"server": ""}), "one", "has no server"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, content: Obj, context: str, words: str) -> None:
    with pytest.raises(LoginError, match=words):
        log_in(kubeconfig=str(written(tmp_path / "config", content)), context=context)


def test_no_file_and_no_yaml(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("users:\n- user: {token: *hunter2}\n")
    with pytest.raises(LoginError, match=r"--kubeconfig names .*, which is not a file"):
        log_in(kubeconfig=str(tmp_path / "none"))
    with pytest.raises(LoginError, match=r"is not YAML, at line 2, column 17$"):
        log_in(kubeconfig=str(tmp_path / "bad"))
    with pytest.raises(LoginError, match="there is no kubeconfig"):
        log_in(context="x", environ={"KUBECONFIG": str(tmp_path / "none")})


def plugin(tmp_path: Path, body: str, **more: Any) -> Obj:
    """A login plugin beside the kubeconfig: a Python program."""
    script = tmp_path / "login"
    script.write_text(f"#!{sys.executable}\nimport json, os, sys\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", **more}}


def login_by(tmp_path: Path, user: Obj, **cluster: Any) -> Any:
    content = {**config("one", user=user, cluster=cluster), "current-context": "one"}
    return log_in(kubeconfig=str(written(tmp_path / "config", content))).credentials


def test_a_login_plugin_gets_its_words_and_gives_a_token(tmp_path: Path) -> None:
    body = """
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
spec = info["spec"]
token = "-".join([*sys.argv[1:], os.environ["EXTRA"], spec["cluster"]["server"], str(spec["interactive"])])
print(json.dumps({"status": {"token": token}}))"""
    user = plugin(tmp_path, body, args=["a", "b"], env=[{"name": "EXTRA", "value": "c"}], provideClusterInfo=True)

    found = login_by(tmp_path, user)

    assert authorization(found) == "Bearer a-b-c-https://one:6443-False"


def test_a_login_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    answer = {"status": {"clientCertificateData": "-----BEGIN CERT", "clientKeyData": "-----BEGIN KEY"}}

    found = login_by(tmp_path, plugin(tmp_path, f"print({json.dumps(json.dumps(answer))})"))

    assert (found.certificate_data, found.private_key_data) == ("-----BEGIN CERT", "-----BEGIN KEY")


@pytest.mark.parametrize(
    ("body", "more", "words"),
    [
        ("sys.exit('no ticket')", {}, "ended with 1: no ticket"),
        ("print('hello')", {}, "did not print an ExecCredential"),
        ("print('{\"status\": {}}')", {}, "neither a token nor a client certificate"),
        ("", {"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "known are"),
        (
            "",
            {"command": "no-such-program", "installHint": "get it from the shop"},
            "not installed: get it from the shop",
        ),
    ],
)
def test_a_plugin_that_fails_is_told_in_its_own_words(tmp_path: Path, body: str, more: Obj, words: str) -> None:
    with pytest.raises(LoginError, match=words):
        login_by(tmp_path, plugin(tmp_path, body, **more))


def test_credentials_are_in_no_message(tmp_path: Path) -> None:
    secret = base64.b64encode(b"secret").decode()
    found = login_by(tmp_path, {"token": secret})

    assert secret not in repr(found)
