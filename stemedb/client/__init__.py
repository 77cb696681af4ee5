"""The Python client: sign, assert and ask over HTTP, with nothing taken on trust.

    with Client("http://127.0.0.1:18180") as client:
        value = Value(ObjectKind.BOOLEAN, True)
        client.assert_claim(sign(Assertion("drug://velorin", "approved", value, 0.9, now), signer))
        answer = client.query("drug://velorin", "approved", lens="authority")

Promises: every refusal is one of `stemedb.errors`; requests that are safe to repeat are repeated, within a
bounded time; a client reads what it wrote; ids and signatures of what is read are verified unless told
otherwise. May use `model`, `errors` and `limits`, nothing else of ours. A client is one connection: use one
a thread.
"""

from stemedb.client.bulk import BulkResult, batches
from stemedb.client.client import Client
from stemedb.client.filters import Filters, When
from stemedb.client.lists import pages
from stemedb.client.signing import sign
from stemedb.client.verify import verify_claim

__all__ = ["BulkResult", "Client", "Filters", "When", "batches", "pages", "sign", "verify_claim"]
