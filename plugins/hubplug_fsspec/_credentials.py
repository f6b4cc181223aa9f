"""With which credentials a store is asked, in words: fsspec's file systems sign their requests themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What each of them does when nothing is said, in its order.
_FOUND_BY = {
    "gcsfs": "Google's default credentials, else the metadata service of the machine, else anonymous",
    "s3fs": "the variables AWS_*, the files in ~/.aws, else the role of the machine",
    "adlfs": "the variables AZURE_STORAGE_*, else Azure's default credentials",
    "ocifs": "the file ~/.oci/config",
    "huggingface_hub": "the variable HF_TOKEN, else the token that `hf auth login` keeps",
    "pyarrow": "the configuration of Hadoop, with a Kerberos ticket where it wants one",
}
_PACKAGES = {
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "s3": "s3fs",
    "s3a": "s3fs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "oci": "ocifs",
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
}
_METHODS_OF_GCSFS = {
    "google_default": "Google's default credentials",
    "cloud": "the metadata service of the machine",
    "cache": "what a browser login of gcsfs left",
    "browser": "a login in the browser",
}
# These say where and how, not who.
_NO_CREDENTIALS = frozenset({
    "endpoint_url", "project", "consistency", "requests_timeout", "session_kwargs", "config_kwargs", "client_kwargs",
    "use_ssl", "default_block_size", "block_size", "version_aware", "requester_pays", "endpoint", "host", "port", "use_https",
    "default_location", "access", "max_concurrency", "anon",
})  # fmt: skip


def describe_credentials(scheme: str, storage_options: Mapping[str, Any]) -> str:
    """Which credentials the file system of a scheme uses; names of options, never their values.

    Args:
        scheme: In lower case.
        storage_options: What the file system is made with.
    """
    if scheme == "memory":
        return "none: it is in this process"
    token = storage_options.get("token")
    if storage_options.get("anon") is True or token == "anon":
        return "anonymous requests, as storage_options say"
    package = _PACKAGES.get(scheme)
    if package == "gcsfs" and isinstance(token, str) and token in _METHODS_OF_GCSFS:
        return f"{_METHODS_OF_GCSFS[token]}, as storage_options say"
    if given := sorted(str(name) for name in storage_options if name not in _NO_CREDENTIALS):
        return f"storage_options of the plugin fsspec: {', '.join(given)}"
    client = package or f"fsspec's file system of {scheme}"
    found = f": {_FOUND_BY[package]}" if package in _FOUND_BY else " by itself"
    return f"what {client} finds{found}"
