"""A version of a ruleset is one content."""

import pytest

from models.errors import ContractError
from streams.rulesets.catalogue_file import catalogue_json
from tests.inputs.cases import one_factor
from tests.oracle.folds import catalogue_of
from topics.writing.catalogues import keep_catalogue, require_one_content

OLD = catalogue_of(one_factor("sum"))
EDITED = catalogue_of(one_factor("max"))
NEXT = catalogue_of(one_factor("max") | {"version": "2"})
KEPT = {OLD.digest: catalogue_json(OLD).encode(), "broken": b"{"}


def test_another_content_under_the_same_version_is_refused():
    """Both digests and the name are told, and what to do; nothing is written."""
    with pytest.raises(ContractError) as raised:
        keep_catalogue({}, None, EDITED.digest, catalogue_json(EDITED), kept=KEPT)
    for words in (f"test/1@{OLD.digest}", f"test/1@{EDITED.digest}", "a new version"):
        assert words in str(raised.value)


@pytest.mark.parametrize("catalogue", [OLD, NEXT])
def test_the_same_content_and_another_version_are_accepted(catalogue):
    """What is kept, and what has a version of its own."""
    require_one_content(KEPT, catalogue.digest, catalogue_json(catalogue))


def test_what_was_kept_before_stays_good():
    """An installation that has two contents under one version from before goes on with either."""
    both = KEPT | {EDITED.digest: catalogue_json(EDITED).encode()}
    for catalogue in (OLD, EDITED):
        require_one_content(both, catalogue.digest, catalogue_json(catalogue))
