"""An SFTP server of asyncssh in the event loop of the test."""

from contextlib import asynccontextmanager

import asyncssh

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD = "correct horse"


class _Login(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("ada", PASSWORD)

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return username == "ada" and key == USER_KEY.convert_to_public()


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel, root):
        super().__init__(channel, chroot=root.encode())


@asynccontextmanager
async def sftp_server(root):
    """Yield the port."""
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Login,
        server_host_keys=[HOST_KEY],
        sftp_factory=lambda channel: _Files(channel, str(root)),
    )
    async with server:
        yield server.get_port()
