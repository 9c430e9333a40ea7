"""`launch/gke_jobset.yaml` says what the processes, the chips and the exit codes of a run need."""

import math
from pathlib import Path

import pytest
import yaml
from jax._src import cloud_tpu_init
from jax._src.clusters import cloud_tpu_cluster, cluster

from jaxlm.cli.command import parse
from jaxlm.cli.data_build import COMMAND as BUILD
from jaxlm.cli.train import COMMAND as TRAIN
from jaxlm.parallel.hub import next_port
from jaxlm.parallel.mesh import axis_sizes
from jaxlm.parallel.start import find_place
from jaxlm.run.recipe import load_recipe

JOBSET = yaml.safe_load((Path(__file__).parents[2] / "launch" / "gke_jobset.yaml").read_text())
[REPLICATED] = JOBSET["spec"]["replicatedJobs"]
JOB = REPLICATED["template"]["spec"]
POD = JOB["template"]["spec"]
[DATA], [TRAINING] = POD["initContainers"], POD["containers"]

CHIPS_OF_A_NODE = {"tpu-v5-lite-podslice": (4,), "tpu-v6e-slice": (4,), "tpu-v5p-slice": (4,), "tpu-v4-podslice": (4,)}
"""Of slices of several hosts (cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus)."""


@pytest.fixture(autouse=True)
def gcsfs(monkeypatch):
    """As in an image made with EXTRA=gcs,tpu: the package that reaches gs:// is there."""
    monkeypatch.setattr("jaxlm.core.paths.find_spec", lambda package: package)


def values(container) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def test_hosts_and_chips_are_those_of_the_topology():
    chips = math.prod(map(int, POD["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x")))
    resources = TRAINING["resources"]
    assert resources["requests"] == resources["limits"]
    each = resources["limits"]["google.com/tpu"]
    assert each in CHIPS_OF_A_NODE[POD["nodeSelector"]["cloud.google.com/gke-tpu-accelerator"]]
    assert JOB["parallelism"] == JOB["completions"], "all at once, each with an index"
    assert JOB["parallelism"] * each == chips
    assert REPLICATED["replicas"] == 1, "one slice"
    recipe = load_recipe(TRAINING["args"][1], parse(TRAIN, TRAINING["args"][1:]).overrides)
    assert math.prod(axis_sizes(recipe.config.mesh, chips).values()) == chips


@pytest.mark.parametrize("index", [0, 7])
def test_the_processes_find_each_other_as_gke_names_them(index, monkeypatch):
    names = JOBSET["metadata"]["name"], REPLICATED["name"]
    hosts = [f"{'-'.join(names)}-0-{host}.{names[0]}" for host in range(JOB["completions"])]
    given = {"TPU_WORKER_ID": str(index), "TPU_WORKER_HOSTNAMES": ",".join(hosts), "TPU_SKIP_MDS_QUERY": "true"}
    for name, value in {**given, **values(TRAINING), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    for module in (cloud_tpu_init, cloud_tpu_cluster, cluster):
        monkeypatch.setattr(module, "running_in_cloud_tpu_vm", True, raising=False)
    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", lambda key: ("Not found: no such attribute", 404))  # asked for slices
    monkeypatch.setattr(cloud_tpu_cluster.socket, "gethostbyname", lambda host: "10.0.0.2")
    place = find_place()
    assert (place.index, place.count, place.local_devices) == (index, len(hosts), None)
    host, _, port = place.address.partition(":")
    assert host == hosts[0]
    assert JOBSET["spec"]["network"]["enableDNSHostnames"] is True
    opened = [entry["containerPort"] for entry in TRAINING["ports"]]
    assert opened == [int(port), next_port(int(port))]


def action(code: int, disrupted: bool = False) -> str | None:
    """What becomes of a job one of whose pods ends so; None: it fails, and the JobSet begins again."""
    for rule in JOB["podFailurePolicy"]["rules"]:
        if "onExitCodes" in rule:
            assert rule["onExitCodes"]["operator"] == "In"
            fits = code in rule["onExitCodes"]["values"]
        else:
            [condition] = rule["onPodConditions"]
            fits = disrupted and condition == {"type": "DisruptionTarget", "status": "True"}
        if fits:
            return rule["action"]
    return None


@pytest.mark.parametrize(
    ("code", "disrupted", "expected"),
    [
        (1, False, "FailJob"),
        (2, False, "FailJob"),
        (2, True, "FailJob"),
        (75, False, "Ignore"),
        (76, False, "Ignore"),
        (143, True, "Ignore"),
        (137, False, None),
    ],
)
def test_it_begins_again_after_75_and_76_and_never_after_1_or_2(code, disrupted, expected):
    """`Ignore`: the pod is made anew, without being counted."""
    assert action(code, disrupted) == expected
    assert POD["restartPolicy"] == "Never", "a failure policy asks for it"
    assert JOB["backoffLimit"] == 0
    policy = JOBSET["spec"]["failurePolicy"]
    assert policy["rules"] == [{"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}]
    assert policy["maxRestarts"] > 0


def test_a_signal_reaches_the_process_and_leaves_it_time_to_save():
    assert POD["terminationGracePeriodSeconds"] >= 120
    assert POD["shareProcessNamespace"] is True
    for container in (DATA, TRAINING):
        assert not {"command", "lifecycle"} & set(container), "the image's entry point is jaxlm itself"


def test_the_commands_are_jaxlms_and_speak_of_the_same_data():
    train = parse(TRAIN, TRAINING["args"][1:])
    assert TRAINING["args"][0] == "train"
    assert DATA["args"][:2] == ["data", "build"]
    build = parse(BUILD, DATA["args"][2:])
    assert (build.recipe, build.overrides) == (train.recipe, train.overrides)
    load_recipe(train.recipe, train.overrides)
    at = TRAINING["args"].index("--run-dir")
    assert TRAINING["args"][at + 1].startswith("gs://"), "what all hosts see"


def test_the_store_is_where_training_looks_for_it():
    mounts = [mount for container in (DATA, TRAINING) for mount in container["volumeMounts"]]
    assert mounts[0] == mounts[1]
    assert {values(DATA)["JAXLM_CACHE"], values(TRAINING)["JAXLM_CACHE"]} == {mounts[0]["mountPath"]}
    assert mounts[0]["name"] in {volume["name"] for volume in POD["volumes"]}
    assert (values(DATA)["JAX_PLATFORMS"], values(TRAINING)["JAX_PLATFORMS"]) == ("cpu", "tpu")
    assert DATA["image"] == TRAINING["image"]
