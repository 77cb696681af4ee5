"""A service that asks for keys, and keys of every kind for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stemedb.model.keys import new_secret
from tests.e2e.service import Reply, ServiceProcess


class Guarded:
    """A running service with its root key."""

    def __init__(self, folder: Path, **env: str) -> None:
        """Start it in `folder`; `env` adds settings, without their prefix."""
        self.root = new_secret()
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"STEMEDB_AUTH_ENABLED": "true", "STEMEDB_ROOT_API_KEY": self.root}
        self.service = ServiceProcess(
            folder, env=settings | {f"STEMEDB_{name}": value for name, value in env.items()}
        )
        self.service.start()

    def make_key(self, role: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of a key
        """Make a key; return the reply."""
        made = self.service.post(
            "/v1/admin/keys", {"role": role, "name": "test", **fields}, self.header(self.root)
        )
        assert made.status == 201, made.body
        reply: dict[str, Any] = made.json()
        return reply

    def revoke(self, key_id: str) -> Reply:
        """Revoke a key."""
        return self.service.request(
            "DELETE", f"/v1/admin/keys/{key_id}", None, headers=self.header(self.root)
        )

    @staticmethod
    def header(secret: str | None) -> dict[str, str]:
        """Return the headers of a request with this key."""
        return {} if secret is None else {"X-API-Key": secret}
