"""A real Ray cluster of two nodes on this machine."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

from throttle.compare.cluster import _unpack
from throttle.compare.collect import collect
from throttle.compare.scheduler import run_here
from throttle.compare.worker import work

sys.path.insert(0, str(Path(__file__).parent))
from compare_helpers import begin, design, silent


@pytest.mark.slow
def test_two_nodes_share_the_runs_and_find_what_one_machine_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'throttle-drive[ray]')")
    from ray.cluster_utils import Cluster

    # Nodes find this package where the test found it, also when it is not installed.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = design(seeds=[0, 1])
    comparison = begin(tmp_path / "cluster", made)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        told: list[str] = []
        comparison.train_all(lambda name, step, total, figures: told.append(name), cluster.address)
        assert not ray.is_initialized(), "the cluster is left as it was found"
        assert not comparison.left()
        nodes = {path.read_text() for path in (tmp_path / "cluster").glob("*/node.txt")}
        assert len(nodes) == 2, "both nodes trained"
        assert set(told) <= {p.name for p in comparison.planned}
        assert told
        before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cluster").glob("*/done.json")}
        comparison.train_all(silent, cluster.address)
        assert {p: p.stat().st_mtime_ns for p in before} == before, "nothing is repeated"
    finally:
        cluster.shutdown()
    here = begin(tmp_path / "here", made)
    run_here(work, [(job.run.name, job) for job in here.left()], 2, silent)
    there, local = collect(tmp_path / "cluster"), collect(tmp_path / "here")
    assert [(r.name, r.final_weights, r.score) for r in there.rows] == [
        (r.name, r.final_weights, r.score) for r in local.rows
    ]


def test_a_folder_from_a_node_arrives_whole(tmp_path: Path) -> None:
    source = tmp_path / "far" / "run"
    (source / "checkpoints").mkdir(parents=True)
    (source / "checkpoints" / "a").write_text("new")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(source, arcname="run")
    target = tmp_path / "near" / "run"
    target.mkdir(parents=True)
    (target / "half").write_text("of a run that was cut short here")
    _unpack(packed.getvalue(), target)
    assert (target / "checkpoints" / "a").read_text() == "new"
    assert not (target / "half").exists()
    assert [p.name for p in target.parent.iterdir()] == ["run"]
