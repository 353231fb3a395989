"""A certificate for PostgreSQL, signed by an authority of one's own: ``make certificates``.

Into a folder, all of mode 0600 but the two certificates:

* ``ca.key``, ``ca.crt`` - the authority, ten years. The key signs the next certificate and is needed for nothing else:
  keep it off the server.
* ``server.key``, ``server.crt`` - of PostgreSQL, thirteen months.

Run again it makes a new key and certificate of the server by the same authority, so that no client has to be told.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from include.settings import get_settings

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
#: As the services of docker-compose.yaml, and tools of the same machine, call the server.
NAMES = ("postgres", "localhost", "127.0.0.1")
# Clocks of two machines differ.
_EARLIER = timedelta(hours=1)


class CertificateError(RuntimeError):
    """The certificates cannot be made; the message says what to do."""


def make_certificates(folder: Path, names: Sequence[str] = NAMES, *, days: int = SERVER_DAYS) -> datetime:
    """Make the server's key and certificate, and the authority where there is none yet.

    Args:
        folder: where they go; made with mode 0700.
        names: host names and addresses by which clients reach the server.
        days: how long the server's certificate holds.

    Returns:
        When it ends (UTC).

    Raises:
        CertificateError: the authority's certificate is there without its key, or has ended.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    now = datetime.now(UTC)
    authority_key, authority = _authority(folder, now)
    until = min(now + timedelta(days=days), authority.not_valid_after_utc)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), authority.subject, key, now, until)
        .add_extension(x509.SubjectAlternativeName([_name(text) for text in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write(folder / "server.key", _pem(key), 0o600)
    _write(folder / "server.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return until


def _authority(folder: Path, now: datetime) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, certificate_file = folder / "ca.key", folder / "ca.crt"
    if certificate_file.exists():
        if not key_file.exists():
            raise CertificateError(
                f"{key_file} is not here: bring the authority's key back for as long as this takes, or move "
                f"{certificate_file} away to make a new authority, which every client must then be given"
            )
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise CertificateError(f"{key_file} does not belong to {certificate_file}: put the right pair there")
        if certificate.not_valid_after_utc <= now:
            raise CertificateError(f"{certificate_file} has ended: move it and its key away to make a new authority")
        return key, certificate
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "labour reporting: authority of the database")])
    certificate = (
        _builder(name, name, key, now, now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    _write(key_file, _pem(key), 0o600)
    _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return key, certificate


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(until)
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    # In one step: PostgreSQL must not read half a key when it is told to look again.
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(content)
    os.replace(handle.name, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m include.warehouse.certificates [--folder F] [--name HOST …]``."""
    parser = argparse.ArgumentParser(
        prog="python -m include.warehouse.certificates", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--folder", type=Path, default=get_settings().var / "tls")
    parser.add_argument("--name", action="append", default=[], help="a further name or address of the server")
    options = parser.parse_args(arguments)
    names = list(dict.fromkeys([*NAMES, *options.name]))
    try:
        until = make_certificates(options.folder, names)
    except CertificateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.folder / 'server.crt'} of {', '.join(names)} holds until {until:%Y-%m-%d}")
    print(f"证书有效期至 {until:%Y-%m-%d}；请把 ca.key 移到别处保存 / move ca.key elsewhere until the next renewal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
