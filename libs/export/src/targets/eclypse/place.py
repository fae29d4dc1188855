"""Places the application of a recorded run on its infrastructure with ECLYPSE. Uses the recorded placement, or one from a file.

Usage: place.py [PLACEMENT]
PLACEMENT is a JSON file with a node for each service. Default: placement.json, the recorded one. Prints one JSON object: whether
all requirements are met, the nodes on which they are not, the placement, and for each interaction of two services the latency (ms)
and bandwidth (Mbit/s) of its path beside the bandwidth that it needs. Requires the Python packages eclypse 0.9.1 and pyyaml.
"""

import json
import pathlib
import sys

from eclypse.graph.assets.defaults import get_default_path_aggregators
from eclypse.io import InfrastructureContext, load_application, load_infrastructure
from eclypse.placement import PlacementManager
from eclypse.placement.strategies import StaticStrategy
from loguru import logger

# ECLYPSE logs violations to standard output, but standard output is for the result.
logger.remove()
logger.add(sys.stderr, format="{message}", level="WARNING")

folder = pathlib.Path(__file__).parent
wanted = json.loads(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else folder / "placement.json").read_text())
context = InfrastructureContext(path_assets_aggregators=get_default_path_aggregators())
infrastructure = load_infrastructure(folder / "infrastructure.json", infrastructure_context=context)
application = load_application(folder / "application.json")

manager = PlacementManager(infrastructure)
manager.register(application, StaticStrategy(wanted))
[(placement, violated)] = manager.mapping_phase()
if not placement.mapping:
    sys.exit("the placement names a node that is not in infrastructure.json, or lacks a service")
interactions = []
for caller, callee, needs in application.edges(data=True):
    nodes = placement.mapping[caller], placement.mapping[callee]
    path = {} if nodes[0] == nodes[1] else infrastructure.path_resources(*nodes)
    interactions.append(
        {
            "from": caller,
            "to": callee,
            "nodes": nodes,
            "latency_ms": path.get("latency", 0.0),
            "bandwidth_mbps": path.get("bandwidth"),
            "needs_mbps": needs["bandwidth"],
        }
    )
result = {"is_feasible": not violated, "violated": sorted(violated), "mapping": placement.mapping, "interactions": interactions}
print(json.dumps(result, indent=1))
