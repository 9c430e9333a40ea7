"""Orbax's checkpoints in s3://: TensorStore, which writes its arrays, speaks S3, and Orbax cannot tell it so.

Orbax 0.12 gives TensorStore an address for gs:// and for folders alone (google/orbax#2739 would add S3). So for s3:// the one
function that makes addresses is asked for that of the same path in gs://, and the answer is turned into S3's. All else Orbax
does there by `etils.epath`, as in gs://. This leans on a function that is not public: pyproject.toml holds Orbax to 0.12, and
tests/checkpoint/test_remote.py fails where it changes.
"""

import os
from functools import cache
from typing import Any

GS, S3 = "gs://", "s3://"


@cache
def teach_orbax_s3() -> None:
    """From now on Orbax takes s3:// paths, at the endpoint and in the region that botocore finds. Once a process."""
    from orbax.checkpoint._src.serialization import tensorstore_utils

    of_gs = tensorstore_utils.build_kvstore_tspec
    where = _where()

    def build(directory: str, name: str | None = None, **more: Any) -> dict[str, Any]:
        if not str(directory).startswith(S3):
            return of_gs(directory, name, **more)
        spec = of_gs(str(directory).replace(S3, GS, 1), name, **more)
        base = spec.get("base", spec)
        assert "bucket" in base, "Orbax gives gs:// an address of another form than it did"
        base |= {"driver": "s3", **where}
        return spec

    tensorstore_utils.build_kvstore_tspec = build


def _where() -> dict[str, Any]:
    """What TensorStore is told of the store: nothing of AWS's own, which it finds by the bucket. Credentials it finds itself, by
    AWS's default chain; where the environment has them, which comes first there, it is told to look no further, since the chain
    prints five lines for each file of AWS's that is missing."""
    told: dict[str, Any] = {"aws_credentials": {"type": "environment"}} if os.environ.get("AWS_ACCESS_KEY_ID") else {}
    import botocore.session

    meta = botocore.session.Session().create_client("s3").meta
    if meta.endpoint_url.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return told
    region = meta.region_name
    return {**told, "endpoint": meta.endpoint_url, "aws_region": "us-east-1" if region in (None, "aws-global") else region}
