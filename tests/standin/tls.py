"""A certificate authority made at start, and the certificates it signs.

Both stand-ins speak TLS with such an authority; what talks to them is given its
`ca_path`. Wrong certificates (expired, foreign name, foreign authority) are made
on demand, so that a test can show what a client says about them.
"""

import datetime
import ipaddress
import itertools
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DEFAULT_NAMES = ["localhost", "127.0.0.1", "::1"]


def _now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def _write_key(path, key):
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(pem)


def _alternative_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """One authority in one folder. `ca_path` is the PEM that clients trust."""

    def __init__(self, folder, common_name):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_path = self.folder / "ca.crt"
        self._serial = itertools.count(1)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        self._certificate = self._make_authority_certificate()
        self.ca_path.write_bytes(
            self._certificate.public_bytes(serialization.Encoding.PEM)
        )

    def _make_authority_certificate(self):
        key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True,
            content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() - datetime.timedelta(days=30))
            .not_valid_after(_now() + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .add_extension(usage, True)
            .add_extension(key_id, False)
            .sign(self._key, hashes.SHA256())
        )

    def server_certificate(self, names=None, *, expired=False, not_before=None,
                           not_after=None):
        """Sign a server certificate for these DNS names and addresses.

        Returns (certificate path, key path), both PEM; the certificate file holds
        the server's certificate only. `expired` ends it yesterday; `not_before`
        and `not_after` (aware datetimes) set the limits exactly.
        """
        names = list(names or DEFAULT_NAMES)
        if expired:
            not_after = not_after or _now() - datetime.timedelta(days=1)
            not_before = not_before or not_after - datetime.timedelta(days=7)
        not_before = not_before or _now() - datetime.timedelta(hours=1)
        not_after = not_after or _now() + datetime.timedelta(days=20)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self._key.public_key()
        )
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(
                x509.SubjectAlternativeName([_alternative_name(n) for n in names]),
                False,
            )
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False
            )
            .add_extension(issuer_id, False)
            .sign(self._key, hashes.SHA256())
        )
        number = next(self._serial)
        certificate_path = self.folder / f"server-{number}.crt"
        key_path = self.folder / f"server-{number}.key"
        certificate_path.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
        _write_key(key_path, key)
        return certificate_path, key_path

    def expired_certificate(self, names=None):
        """A certificate with the right names that ended yesterday."""
        return self.server_certificate(names, expired=True)

    def wrong_name_certificate(self):
        """A valid certificate for a host that nobody here is."""
        return self.server_certificate(["wrong-name.invalid"])

    def foreign_certificate(self, names=None):
        """A certificate with the right names from an authority nobody trusts."""
        foreign = make_authority(self.folder / "foreign", "Foreign authority")
        return foreign.server_certificate(names)

    def server_context(self, names=None, **options):
        """An ssl.SSLContext for a server, HTTP/1.1 only."""
        return server_context(*self.server_certificate(names, **options))


def server_context(certificate_path, key_path):
    """An ssl.SSLContext for a server with this certificate, HTTP/1.1 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path, key_path)
    context.set_alpn_protocols(["http/1.1"])
    return context


def make_authority(folder, common_name="Stand-in authority"):
    """Make a new authority that keeps its files in this folder."""
    return Authority(folder, common_name)
