"""Proxies from the environment: for the providers' addresses, and never for this machine's own."""

from collections.abc import MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def except_loopback(environ: MutableMapping[str, str]) -> None:
    """Has every client of this process and its children reach loopback addresses without a proxy.

    Clients read these variables themselves, in capitals or not. Some do not know ALL_PROXY, so it
    stands in for those that are not set.
    """
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name.strip() for name in excepted.split(",") if name.strip()]
    for name in ("no_proxy", "NO_PROXY"):
        environ[name] = ",".join([*names, *(own for own in LOOPBACK if own not in names)])
    proxy = environ.get("all_proxy") or environ.get("ALL_PROXY") or ""
    for name in ("http_proxy", "https_proxy"):
        if proxy.startswith("http") and not environ.get(name) and not environ.get(name.upper()):
            environ[name] = proxy
