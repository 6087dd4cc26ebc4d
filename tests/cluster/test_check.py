"""`infaug cluster check`: shipped files are sound, and each mistake is told."""

import pytest

from infaug.cli.main import main
from infaug.cli.terminal import BAD_INPUT

from .cluster_files import FILES, GONE, changed

pytest.importorskip("ray")

SHIPPED = ("aws.yaml", "gcp.yaml", "local.yaml", "kuberay/rayjob.yaml")
JOB = ["--gpus-per-worker", "1", "--pool", "1..4", "--pool-resources", "CPU=1,solver=1"]
TYPES, SPOT = "available_node_types", "available_node_types.gpu_spot"
SPEC = "spec.rayClusterSpec"
GROUP = f"{SPEC}.workerGroupSpecs.0"
POD = f"{GROUP}.template.spec"


def refused(arguments: list[str], capsys) -> str:
    """What an unsound file is answered with."""
    assert main(["cluster", "check", *arguments]) == BAD_INPUT
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert "this job fits" not in printed.out
    return printed.err


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_sound_and_says_what_to_fill_in(name, capsys):
    workers = "2" if name == "local.yaml" else "4..8"
    command = ["cluster", "check", str(FILES / name), "--workers", workers, *JOB]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "solver" in printed
    assert "FILL-IN is left on lines " in printed
    last = printed.strip().splitlines()[-1]
    assert last == (
        f"this job fits: {workers[-1]} workers of CPU=1, GPU=1; "
        "4 solver actors of CPU=1, solver=1"
    )


MISTAKES = {
    "aws.yaml": [
        ("cluster_name", GONE, "cluster_name: missing"),
        ("cluster_name", "My Cluster", "cluster_name: 'My Cluster' is no name"),
        ("provider.type", "azure", "provider.type: must be one of aws, gcp, local"),
        ("max_wrokers", 3, "max_wrokers"),  # told by Ray
        ("idle_timeout_minutes", "ten", "idle_timeout_minutes"),  # told by Ray
        ("head_node_type", "haed", "head_node_type: 'haed' must be one of head"),
        (f"{SPOT}.node_config.InstanceType", GONE, "needs InstanceType or"),
        (f"{SPOT}.resources", {}, f"{SPOT}.resources: must say CPU"),
        (f"{SPOT}.min_workers", 9, f"{SPOT}.min_workers: 9 is more than max_workers"),
        (f"{SPOT}.max_workers", 20, f"{SPOT}.max_workers: 20 is more than max_workers"),
        (f"{SPOT}.max_workers", GONE, f"{SPOT}.max_workers: missing"),
        ("max_workers", 40, "max_workers: 40, but the groups' add up to 24"),
        (f"{TYPES}.gpu_on_demand.resources.GPU", 2, "GPUs on spot without a fallback"),
        (
            f"{TYPES}.gpu_on_demand.node_config.InstanceMarketOptions",
            {"MarketType": "spot"},
            f"{SPOT}: GPUs on spot without a fallback",
        ),
        (f"{SPOT}.node_config.SecurityGroupIds", GONE, "port 22 open to 0.0.0.0/0"),
        (
            "provider.security_group",
            {
                "GroupName": "mine",
                "IpPermissions": [
                    {
                        "FromPort": 8265,
                        "ToPort": 8265,
                        "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
                    }
                ],
            },
            "ports 8265-8265 are open to the world",
        ),
        (f"{SPOT}.priority", 0, "gpu_spot.priority: must be higher than that of"),
        (
            f"{TYPES}.gpu_on_demand.resources",
            {"CPU": 8, "GPU": 1},
            "gpu_on_demand.resources: add on_demand: 1",
        ),
        ("initialization_commands", GONE, "docker.image is in ECR, log in"),
        (
            f"{TYPES}.decode.node_config.IamInstanceProfile",
            GONE,
            "decode.node_config.IamInstanceProfile: missing",
        ),
        (
            f"{TYPES}.decode.node_config.BlockDeviceMappings.0.Ebs.Throughput",
            GONE,
            "gp3 has 125 MB/s unless Throughput",
        ),
        ("provider.availability_zone", "us-west-2a", "is often refused, name more"),
        ("head_start_ray_commands", GONE, "--dashboard-host=0.0.0.0"),
        ("auth.ssh_private_key", "~/key.pem", "node_config.KeyName: missing"),
    ],
    "gcp.yaml": [
        ("provider.use_internal_ips", GONE, "provider.use_internal_ips: must be true"),
        (
            f"{TYPES}.decode.node_config.networkInterfaces",
            GONE,
            "networkInterfaces: missing, Ray would give a public address",
        ),
        (
            f"{TYPES}.decode.node_config.networkInterfaces.0.accessConfigs",
            [{"type": "ONE_TO_ONE_NAT"}],
            "accessConfigs gives a public address",
        ),
        (
            f"{TYPES}.gpu_on_demand.node_config.scheduling",
            [{"preemptible": True}],
            "gpu_on_demand: GPUs on spot without a fallback",
        ),
    ],
    "local.yaml": [
        ("provider.head_ip", GONE, "provider: needs head_ip and worker_ips"),
        ("max_workers", 3, "max_workers: 3, worker_ips has 2"),
        ("max_workers", 1, "min_workers: more than max_workers"),
        ("worker_start_ray_commands", ["ray start"], "say what a machine has"),
        (
            "worker_start_ray_commands",
            ["ray start --num-cpus=many"],
            "--num-cpus and --num-gpus numbers",
        ),
    ],
    "kuberay/rayjob.yaml": [
        ("metadata.name", "x" * 48, "metadata.name"),
        ("spec.entrypoint", GONE, "spec.entrypoint: missing"),
        (SPEC, GONE, "spec.rayClusterSpec: missing"),
        (f"{SPEC}.enableInTreeAutoscaling", GONE, "or no group ever grows"),
        (f"{SPEC}.headGroupSpec.serviceType", "LoadBalancer", "opens the head"),
        (f"{SPEC}.headGroupSpec.enableIngress", True, "opens the head"),
        (f"{GROUP}.minReplicas", 5, "decode.replicas: minReplicas <= replicas"),
        (f"{GROUP}.maxReplicas", GONE, "maxReplicas: must be a whole number"),
        (f"{GROUP}.numOfHosts", 0, "numOfHosts: must be a whole number"),
        (f"{GROUP}.groupName", "gpu-spot", "gpu-spot: 2 groups have this name"),
        (f"{POD}.containers.0.image", GONE, "containers[0].image: missing"),
        (f"{POD}.containers.0.resources", {}, "must limit cpu"),
        (f"{POD}.hostNetwork", True, "hostNetwork: opens the node's own ports"),
        (f"{POD}.containers.0.ports", [{"hostPort": 8265}], "hostPort: 8265 opens"),
        (f"{POD}.containers.0.resources.limits.cpu", "16", "cpu 16 is a whole machine"),
        (f"{SPEC}.autoscalerOptions.env", GONE, "a pending spot pod counts as a node"),
        (f"{SPEC}.workerGroupSpecs.1.priority", GONE, "gpu-spot.priority: must be"),
        (
            f"{SPEC}.workerGroupSpecs.1.template.spec.containers.0.lifecycle",
            GONE,
            "gpu-spot.template.spec.containers[0].lifecycle.preStop: missing",
        ),
        (
            f"{SPEC}.workerGroupSpecs.2.template.spec.affinity",
            GONE,
            "gpu-on-demand.template.spec.affinity.nodeAffinity: missing",
        ),
        (
            f"{SPEC}.workerGroupSpecs.2.template.spec.nodeSelector",
            {"karpenter.sh/capacity-type": "spot"},
            "gpu-spot: GPUs on spot without a fallback",
        ),
    ],
}
EACH = [(name, *mistake) for name, mistakes in MISTAKES.items() for mistake in mistakes]


@pytest.mark.parametrize(("name", "field", "value", "told"), EACH)
def test_a_mistake_in_a_file_is_told_with_its_field(
    name, field, value, told, tmp_path, capsys
):
    path = changed(name, field, value, tmp_path)
    message = refused([str(path)], capsys)
    assert told in message
    assert f"{path}: " in message


def test_a_service_beside_the_job_may_not_open_it(tmp_path, capsys):
    path = tmp_path / "job.yaml"
    service = "kind: Service\nspec: {type: LoadBalancer}\n"
    path.write_text((FILES / SHIPPED[-1]).read_text() + "---\n" + service)
    assert "Service.spec.type: LoadBalancer" in refused([str(path)], capsys)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "kind: Deployment\nspec: {}"])
def test_what_is_no_cluster_file_is_refused(text, tmp_path, capsys):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    assert str(path) in refused([str(path)], capsys)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path, capsys):
    path = changed("aws.yaml", "cluster_name", GONE, tmp_path)
    text = path.read_text().replace("InstanceType", "InstancType")
    path.write_text(text)
    assert refused([str(path)], capsys).count("aws.yaml: ") > 4


@pytest.mark.parametrize(
    ("requested", "told"),
    [
        (["--workers", "13"], "13 workers of CPU=1, GPU=1"),
        (["--workers", "13"], "allow more nodes of gpu_spot or gpu_spot_other or"),
        (["--workers", "12"], "only 0 of 1 solver actor of CPU=1, solver=1 fit beside"),
        (["--workers", "1", "--pool", "40"], "only 32 of 40 solver actors of"),
        (["--workers", "4", "--gpus-per-worker", "2"], "no node has what"),
        (["--workers", "1", "--pool-resources", "colver=1"], "takes, colver=1"),
        (["--workers", "many"], "--workers must be N or MIN..MAX"),
        (["--workers", "4..2"], "1 <= MIN <= MAX"),
        (["--workers", "1", "--gpus-per-worker", "-1"], "must be >= 0"),
    ],
)
def test_a_job_that_can_never_fit_is_told_what_is_missing(requested, told, capsys):
    command = [str(FILES / "aws.yaml"), *JOB, *requested]
    assert told in refused(command, capsys)


def test_what_of_a_job_never_fits_is_told_beside_what_does(capsys):
    command = [str(FILES / "aws.yaml"), "--workers", "2..16", *JOB]
    assert main(["cluster", "check", *command]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert "11 workers of CPU=1, GPU=1" in last
    assert "--workers asks for 2..16, but never more than 11 fit" in last
