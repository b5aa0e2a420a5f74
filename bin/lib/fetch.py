"""Fetches one file: `fetch.py SHA256 URL TARGET`.

The target appears whole and with the right digest, or not at all. Proxies and certificates come
from the usual variables (`https_proxy`, `SSL_CERT_FILE`).
"""

import hashlib
import os
import sys
import time
import urllib.error
import urllib.request

ATTEMPTS = 4
TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 20


def fetch(url: str, path: str) -> str:
    """Writes what `url` answers to `path` and returns its SHA-256."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, open(path, "wb") as file:
        while chunk := response.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)

    return digest.hexdigest()


def worth_another_try(error: OSError) -> bool:
    """A refusal stays a refusal; a busy server or a broken connection may pass."""
    return not isinstance(error, urllib.error.HTTPError) or error.code in (429, 500, 502, 503, 504)


def main(wanted: str, url: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    partial = f"{target}.{os.getpid()}.part"
    try:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                got = fetch(url, partial)
                break
            except OSError as error:
                if attempt == ATTEMPTS or not worth_another_try(error):
                    sys.exit(f"cannot fetch {url}: {error}")
                time.sleep(2**attempt)

        if got != wanted:
            sys.exit(f"{url} has SHA-256 {got}, versions.env says {wanted}")

        os.replace(partial, target)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
