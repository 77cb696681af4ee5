"""What takes too long is given up with a 504, and says so in the metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.e2e.service import ServiceProcess
from tests.e2e.signing import WHEN_S, line
from tests.e2e.test_refuse import problem_of

CLAIMS = 1_100  # the clock is looked at every 1,024

# The real service, but for the limit: ten seconds of counting would take a test minutes to fill.
IMPATIENT = """
from stemedb import limits
limits.QUERY_TIMEOUT_S = 1e-6
from stemedb.cli.server import main
main()
"""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    service = ServiceProcess(tmp_path_factory.mktemp("impatient"), program=("-c", IMPATIENT)).start()
    lines = [line(n % 3, timestamp=WHEN_S - n, source_class="Anecdotal") for n in range(CLAIMS)]
    assert service.bulk(lines).body.count(b'"created"') == CLAIMS
    yield service
    service.close()


def given_up(service: ServiceProcess) -> float:
    metrics = service.get("/metrics").body.decode()
    found = re.search(r"^stemedb_query_timeout_total (\S+)$", metrics, re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.parametrize("path", ["concepts?", "concepts?prefix=fda://&", "escalations?"])
@pytest.mark.parametrize("moment", ["known_at={seq}", "as_of={as_of}", "known_at={seq}&as_of={as_of}"])
def test_counts_of_another_moment_are_given_up(impatient: ServiceProcess, path: str, moment: str) -> None:
    asked = moment.format(seq=CLAIMS + 1, as_of=WHEN_S)
    before = given_up(impatient)
    problem = problem_of(impatient.get(f"/v1/{path}{asked}"), 504)
    assert (problem["code"], problem["detail"]) == ("query_timeout", "the question took more than 1e-06 s")
    assert given_up(impatient) == before + 1


def test_counts_of_the_present_are_looked_up(impatient: ServiceProcess) -> None:
    found = impatient.get("/v1/concepts").json()["concepts"]
    assert sum(each["claims_count"] for each in found) == CLAIMS
    assert impatient.get("/v1/escalations").json()["escalations"] == []


@pytest.mark.parametrize("path", ["skeptic?", "layered?", "query?lens=consensus&"])
def test_questions_are_given_up(impatient: ServiceProcess, path: str) -> None:
    """Of one subject there are too few claims here to run out of time; all three are one by their names."""
    for number in (1, 2):
        alias = {"subject": "fda://drug/0", "alias": f"fda://drug/{number}"}
        assert impatient.post("/v1/alias", alias).status in (200, 201)
    before = given_up(impatient)
    asked = f"/v1/{path}subject=fda://drug/0&predicate=nausea_rate"
    assert impatient.get(asked).status == 200
    assert problem_of(impatient.get(f"{asked}&aliases=true"), 504)["code"] == "query_timeout"
    assert given_up(impatient) == before + 1
