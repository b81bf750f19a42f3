#!/usr/bin/env python3
"""retag.py ARCHIVE NAME...: gives the one image of a docker-archive these names; buildah writes only one."""

import io
import json
import os
import sys
import tarfile


def retag(path: str, names: list[str]) -> None:
    """Rewrites `path` in one pass: every member as it is, manifest.json with the names."""
    partial = path + ".partial"
    with tarfile.open(path) as source, tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as target:
        for member in source:
            content = source.extractfile(member) if member.isfile() else None
            if member.name == "repositories":
                continue  # the old format's index: it knows one name only, and nothing needs it
            if member.name == "manifest.json" and content:
                (image,) = json.load(content)
                body = json.dumps([{**image, "RepoTags": names}]).encode()
                member.size, content = len(body), io.BytesIO(body)
            target.addfile(member, content)
    os.replace(partial, path)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    retag(sys.argv[1], sys.argv[2:])
