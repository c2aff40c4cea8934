"""The certificates that connections are checked against, read once in a process."""

import ssl
from functools import lru_cache

from httpx2 import create_ssl_context


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """What the HTTP library would make for each of its clients, which costs some 25 ms a time.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are read when the first client is made.
    """
    return create_ssl_context()
