"""The nearest documents: every pair compared, against clusters and bounds."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dgm.retrieval.ranking import mean_gains
from dgm.retrieval.search import Hits, build, nearest, unit

K = 15


def cosines_of(codes: Tensor) -> Tensor:
    """Of all pairs, in double precision; a document's to itself is below all others."""
    x = codes.double()
    x = x / x.norm(dim=1, keepdim=True).clamp_min(1e-30)
    return (x @ x.t()).fill_diagonal_(-9.0)


def found(codes: Tensor, size: int) -> np.ndarray:
    """Of each document its nearest, from every cluster of an index."""
    index = build(codes, size)
    result = np.full((len(codes), K), -1)
    for cluster in range(index.clusters):
        documents, others = nearest(index, cluster, K)
        assert (result[documents] == -1).all()
        result[documents] = others
    return result


def assert_nearest(codes: Tensor, size: int) -> None:
    """Those found are different documents, with the largest cosines there are, in their order."""
    got, cosines = torch.from_numpy(found(codes, size)), cosines_of(codes)
    assert all(len(set(row)) == K for row in got.tolist())
    torch.testing.assert_close(cosines.gather(1, got), cosines.topk(K)[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [10, 40, 1000])
def test_the_nearest_are_those_of_all_pairs(size: int) -> None:
    """Clustered codes, of which most clusters are skipped, and codes in all directions."""
    generator = torch.Generator().manual_seed(0)
    even = torch.randn(300, 4, generator=generator)
    assert_nearest(even, size)
    centres = 4 * torch.randn(9, 4, generator=generator)
    of = torch.randint(9, (300,), generator=generator)
    assert_nearest(centres[of] + 0.3 * even, size)


@pytest.mark.parametrize("size", [10, 1000])
def test_equals_are_ranked_by_number_and_empty_documents_are_at_right_angles(size: int) -> None:
    """Six directions, of which each has many documents, and documents without a direction."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.cat([torch.eye(3), -torch.eye(3), torch.zeros(1, 3)])
    codes = directions[torch.randint(7, (200,), generator=generator)]
    got = found(codes * torch.rand(200, 1, generator=generator).add(0.5), size)
    expected = cosines_of(codes).argsort(dim=1, descending=True, stable=True).numpy()
    np.testing.assert_array_equal(got, expected[:, :K])


def test_more_candidates_than_a_query_has_room_for() -> None:
    """Cosines that rise along the documents, so that each is nearer than all before it."""
    angle = torch.linspace(0, 3, 2000)
    codes = torch.stack([angle.cos(), angle.sin()], 1)
    assert_nearest(codes, 4000)


def test_hits_are_those_of_a_ranking_of_all_documents() -> None:
    """Oracle: `mean_gains` on the matrix of all cosines, summed over queries."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(300, 4, generator=generator)
    classes = torch.randint(5, (300,), generator=generator)
    index, cutoffs = build(codes, 40), [1, 3, 100]
    hits = Hits(index, classes.numpy(), cutoffs)
    halves = Hits(index, classes.numpy(), cutoffs)
    for cluster in range(index.clusters):
        hits.add(cluster)
        halves.add(cluster)
        again = Hits(index, classes.numpy(), cutoffs)
        again.load_state_dict(halves.state_dict())
        halves = again
    gains = (classes[:, None] == classes).float()
    by_query = mean_gains(cosines_of(codes), gains, torch.arange(300), cutoffs)
    expected = by_query.sum(0) * torch.tensor(cutoffs)
    torch.testing.assert_close(hits.sums.double(), expected)
    assert torch.equal(halves.sums, hits.sums)
    assert hits.queries == halves.queries == 300


def test_clusters_of_nearly_equal_codes_are_not_skipped() -> None:
    """Documents in two tight bundles, whose radius is lost in a cosine's rounding."""
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        near = 2e-4 * torch.randn(400, generator=generator)
        angle = torch.cat([torch.zeros(10), 1 + near[:200], near[200:] - 1.00005])
        assert_nearest(torch.stack([angle.cos(), angle.sin()], 1), 137)


def test_nearly_parallel_codes_are_found_up_to_rounding() -> None:
    """Cosines differ by less than single precision can tell: their order is lost, no more."""
    generator = torch.Generator().manual_seed(0)
    codes = 1 + 1e-2 * torch.randn(300, 4, generator=generator)
    assert_nearest(codes, 40)
    assert (found(codes, 40) != cosines_of(codes).topk(K)[1].numpy()).any()


def test_lengths_of_codes_do_not_matter() -> None:
    codes = torch.tensor([[3.0, 4.0], [3e-25, 4e-25], [3e19, 4e19], [0.0, 0.0]])
    expected = torch.tensor([[0.6, 0.8]] * 3 + [[0.0, 0.0]])
    torch.testing.assert_close(unit(codes), expected)


def test_an_index_holds_each_document_once_within_its_radius() -> None:
    codes = torch.randn(257, 5, generator=torch.Generator().manual_seed(1))
    index = build(codes, 20)
    held = index.documents[index.documents >= 0]
    assert sorted(held) == list(range(257))
    for cluster in range(index.clusters):
        part = slice(index.starts[cluster], index.starts[cluster + 1])
        here = index.documents[part]
        x = unit(codes)[here[here >= 0]].numpy()
        laid = index.codes.transpose(0, 2, 1).reshape(-1, 5)[part]
        np.testing.assert_array_equal(laid[here >= 0], x)
        assert (x @ index.centres[cluster] >= index.cos_radius[cluster] - 1e-6).all()
        assert (here[: (here >= 0).sum()] >= 0).all()  # those of no document come last


def test_bad_input() -> None:
    index = build(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    for k in (0, 20):
        with pytest.raises(ValueError, match=f"the {k} nearest: each of 20 documents has 19"):
            nearest(index, 0, k)
    with pytest.raises(ValueError, match="not finite"):
        build(torch.tensor([[1.0, 2.0], [float("nan"), 0.0]]))
    with pytest.raises(ValueError, match="no codes"):
        build(torch.empty(0, 3))
