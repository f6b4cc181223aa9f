"""An OCI image layout with one module in it."""

from __future__ import annotations

import hashlib
import json

import pytest

pytest_plugins = ["hubplug.testing"]


@pytest.fixture
def layout(tmp_path, tiny_archive):
    """The directory of a layout that has a tiny module under the tag ``tiny-1``."""
    root = tmp_path / "layout"
    (root / "blobs" / "sha256").mkdir(parents=True)

    def put(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        (root / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    config = put(b"{}", "application/vnd.oci.empty.v1+json")
    layer = put(tiny_archive, "application/vnd.oci.image.layer.v1.tar+gzip")
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer]}
    entry = put(json.dumps(manifest).encode(), manifest_type)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "tiny-1"}
    (root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return root
