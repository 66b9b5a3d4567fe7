"""The tree of machines is laid out without overlaps."""


import networkx as nx

from sim.report.tree_chart import tidy


def test_a_tree_is_laid_out_with_no_two_of_a_row_in_one_place() -> None:
    tree: nx.DiGraph[str] = nx.DiGraph([("T", "a"), ("T", "b"), ("T", "c"), ("b", "b1"), ("b", "b2"), ("c", "c1")])
    xs = tidy(tree)
    assert xs["a"] < xs["b"] < xs["c"]
    assert xs["b"] == (xs["b1"] + xs["b2"]) / 2
    assert xs["c"] == xs["c1"] > xs["b2"]
    assert xs["T"] == (xs["a"] + xs["c"]) / 2
