"""A stand-in for S3 on this machine (moto), which counts what it is asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

SECRET = "words-that-must-not-be-written-down"
BUCKET = "bucket"


class Request(NamedTuple):
    method: str
    path: str
    range: str | None
    num_bytes: int
    """Of the answer."""


REFUSED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class StandIn:
    """Its address, and each request so far. It refuses to write below `locked/` of the bucket, and all below `closed/`."""

    def __init__(self, url: str, requests: list[Request]):
        self.url, self.requests = url, requests
        self.environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "stand-in",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def gets(self, part: str) -> list[Request]:
        """Of objects whose names hold `part`."""
        return [request for request in self.requests if request.method == "GET" and part in request.path]


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """The server, in threads of this process, with one bucket."""
    pytest.importorskip("moto", reason="pip install -e '.[dev]'")
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    requests: list[Request] = []
    app = DomainDispatcherApplication(create_backend_app)

    def counted(environ, start_response):
        asked = environ["PATH_INFO"] + environ["QUERY_STRING"].replace("%2F", "/")
        if "closed/" in asked or ("locked/" in asked and environ["REQUEST_METHOD"] in ("PUT", "POST")):
            start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(REFUSED)))])
            return [REFUSED]
        answer = b"".join(app(environ, start_response))
        requests.append(Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE"), len(answer)))
        return [answer]

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_):
            pass

    server = make_server("127.0.0.1", 0, counted, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found = StandIn(f"http://127.0.0.1:{server.port}", requests)
    import boto3

    keys = {"aws_access_key_id": "stand-in", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=found.url, **keys).create_bucket(Bucket=BUCKET)
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
