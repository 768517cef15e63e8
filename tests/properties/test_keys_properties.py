"""Laws of keys and partitions, for any ids."""

from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from consolidator.keys import event_key, murmur2, parse_event_key, partition_of

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
awkward_ids = st.text(st.sampled_from("%/25Ff\0é"), min_size=1)


@given(st.binary(max_size=200))
def test_murmur2_equals_an_independent_implementation(data):
    """Every byte string hashes as in aiokafka's port of the Java code."""
    assert murmur2(data) & 0xFFFFFFFF == aiokafka_murmur2(data) & 0xFFFFFFFF


@given(ids | awkward_ids, ids | awkward_ids)
def test_a_key_tells_both_ids_again(application_id, event_id):
    """Taking a canonical key apart gives exactly the ids that it was made of."""
    assert parse_event_key(event_key(application_id, event_id)) == (application_id, event_id)


@given(st.binary() | awkward_ids.map(str.encode))
def test_only_canonical_keys_are_taken_apart(key):
    """Whatever bytes have an identity are the very bytes that this identity is written as."""
    identity = parse_event_key(key)
    assert identity is None or event_key(*identity) == key


@given(awkward_ids, awkward_ids, awkward_ids, awkward_ids)
def test_different_identities_have_different_keys(application, event, other_application, other_event):
    """Two keys are equal only where application and event are."""
    same = (application, event) == (other_application, other_event)
    assert (event_key(application, event) == event_key(other_application, other_event)) is same


@given(ids, st.integers(1, 10_000))
def test_the_partition_is_one_that_exists(application_id, partitions):
    """Every application has a partition between 0 and the number of partitions."""
    assert 0 <= partition_of(application_id, partitions) < partitions
