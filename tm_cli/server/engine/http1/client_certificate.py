"""The client certificate of a load: files on the machine that plays it."""

import os
import ssl
import stat
from pathlib import Path

from tm_cli.runtime.trusted_files import is_trusted_owner
from tm_cli.server.profiles import ClientCertificate


class UnusableCertificate(ValueError):
    """The certificate or its key cannot be used; the message names the file and the reason."""


def load_certificate(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Load certificate and key into a TLS context; raises UnusableCertificate.

    Nothing of the files is in the message.
    """
    for name in (certificate.cert, certificate.key):
        if name is not None:
            check_file(name)
    key = certificate.key or certificate.cert
    asked = False

    def password() -> str:  # without it OpenSSL would ask at the terminal
        nonlocal asked
        asked = True
        return certificate.password or ""

    try:
        context.load_cert_chain(certificate.cert, key, password)
    except (OSError, ValueError) as error:
        if asked:
            reason = "the password is wrong" if certificate.password else "it needs a `password`"
            raise UnusableCertificate(f"the key {key} cannot be read: {reason}") from None
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            reason = f"{key} is not the key of {certificate.cert}"
        else:
            reason = f"{certificate.cert} and {key} hold no certificate and key in PEM"
        raise UnusableCertificate(reason) from None


def check_file(name: str) -> None:
    """Raise UnusableCertificate for a file that is missing or that other users may have written."""
    if not Path(name).is_absolute():
        raise UnusableCertificate(f"{name} is not an absolute path")
    try:
        found = Path(name).stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no file name"
        raise UnusableCertificate(f"{name} cannot be read on this machine: {reason}") from None
    if not stat.S_ISREG(found.st_mode):
        raise UnusableCertificate(f"{name} is not a file")
    if not is_trusted_owner(found.st_uid, os.environ):
        raise UnusableCertificate(f"{name} belongs to another user")
    if os.name == "posix" and found.st_mode & 0o022:
        raise UnusableCertificate(f"{name} can be written by other users: chmod go-w")
