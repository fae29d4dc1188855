"""Checks manifests strictly against the schemas of Kubernetes and the rules of this repository: check.py VERSION FILE...

Prints one finding a line and exits with 1 if there is any. Otherwise, prints the number of checked resources.
"""

import sys

import kubernetes_validate
import yaml

# Rights that a container with root needs to prepare a folder for another container.
PREPARING = {"CHOWN"}


def pods(resources):
    """Each pod as (name of its resource, metadata, spec, names of volumes that are claimed for it)."""
    for resource in resources:
        spec = resource.get("spec", {})
        name = f"{resource['kind']}/{resource['metadata']['name']}"
        if resource["kind"] == "Pod":
            yield name, resource["metadata"], spec, set()
        elif "template" in spec:
            claimed = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
            yield name, spec["template"]["metadata"], spec["template"]["spec"], claimed


def of_schema(path, resource, version):
    try:
        kubernetes_validate.validate(resource, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(step) for step in error.path)
        yield f"{path}: {resource['kind']}: {place}: {error.message}"


def of_container(container, pod, volumes, prepares):
    own = container.get("securityContext", {})
    context = {**pod.get("securityContext", {}), **own}
    capabilities = own.get("capabilities", {})
    added = set(capabilities.get("add", []))
    resources = container.get("resources", {})
    if prepares:
        is_bounded = added <= PREPARING
    else:
        is_bounded = context.get("runAsNonRoot") is True and context.get("runAsUser", 0) != 0 and not added
    rules = {
        "runs as root, or with a capability": is_bounded,
        "keeps capabilities": capabilities.get("drop") == ["ALL"],
        "may gain privileges": own.get("allowPrivilegeEscalation") is False,
        "can write to its root file system": own.get("readOnlyRootFilesystem") is True,
        "has no seccomp profile": context.get("seccompProfile") == {"type": "RuntimeDefault"},
        "requests nothing": {"cpu", "memory"} <= resources.get("requests", {}).keys(),
        "has no limit of memory": "memory" in resources.get("limits", {}),
        "has no tag": ":" in container["image"],
    }
    yield from (finding for finding, holds in rules.items() if not holds)
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"mounts {mount['name']}, which is no volume"


def of_probes(container):
    ports = {port["name"] for port in container.get("ports", [])}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        settings = container.get(probe)
        if settings is None:
            yield f"has no {probe}"
        port = (settings or {}).get("httpGet", {}).get("port")
        if isinstance(port, str) and port not in ports:
            yield f"{probe} asks {port}, which is no port"


def of_pods(resources):
    for name, _, pod, claimed in pods(resources):
        volumes = {volume["name"] for volume in pod.get("volumes", [])} | claimed
        containers = [(container, False) for container in pod["containers"]]
        containers += [(container, True) for container in pod.get("initContainers", [])]
        for container, prepares in containers:
            findings = list(of_container(container, pod, volumes, prepares))
            if not prepares and not name.startswith("Pod/"):
                findings += of_probes(container)
            yield from (f"{name}: {container['name']} {finding}" for finding in findings)
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{name}: has a token of the cluster's"
        if "terminationGracePeriodSeconds" not in pod:
            yield f"{name}: does not say how long it takes to stop"


def of_services(resources):
    for service in (resource for resource in resources if resource["kind"] == "Service"):
        name, spec = service["metadata"]["name"], service["spec"]
        chosen = [
            pod for _, metadata, pod, _ in pods(resources) if spec["selector"].items() <= metadata["labels"].items()
        ]
        ports = {port["name"] for pod in chosen for container in pod["containers"] for port in container["ports"]}
        for port in spec["ports"]:
            if port["targetPort"] not in ports:
                yield f"Service/{name}: {port['targetPort']} is no port of what it selects"


def main():
    version, *paths = sys.argv[1:]
    documents = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            documents += [(path, document) for document in yaml.safe_load_all(file) if document]
    resources = [resource for _, resource in documents]
    findings = [finding for path, resource in documents for finding in of_schema(path, resource, version)]
    # If the structure does not fit the kind, no further rule can be checked.
    if not findings:
        findings = [*of_pods(resources), *of_services(resources)]
    for finding in findings:
        print(finding)
    if findings or not documents:
        sys.exit(1)
    print(f"{len(documents)} resources in {len(paths)} files, held to Kubernetes {version}")


main()
