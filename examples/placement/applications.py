"""The two applications of the study: a chain of one service on three nodes, and a shop of five services.

Each computes for about a fifth of its time and sleeps for the rest, so that all nodes fit on a small machine. One service has two
slots and is the busiest station.
"""

from dataclasses import dataclass, field

# One way, milliseconds, and bits per second.
LINKS = {
    ("ep0", "edge0"): (5, 50_000_000),
    ("edge0", "cloud0"): (20, 50_000_000),
    ("ep0", "cloud0"): (25, 50_000_000),
}
STAGES = {"ep0": "endpoint", "edge0": "edge", "cloud0": "cloud"}
DRIVER = "driver0"
# All nodes share one machine, so they have the same speed.
MIPS = 1000.0


@dataclass
class Service:
    """One instance: its work, and the calls that it makes, in steps of parallel ones."""

    module: str
    instance: str
    node: str
    cpu_ms: float
    sleep_ms: float
    slots: int = 32
    # Coefficient of variation of the sleep, which is lognormal.
    cv: float = 0.5
    steps: list = field(default_factory=list)

    def all(self):
        """This service and all that it calls."""
        yield self
        for callee in (callee for step in self.steps for callee in step):
            yield from callee.all()


@dataclass
class Application:
    name: str
    root: Service
    # The instance whose slots are the busiest.
    busiest: str
    # Fields of the nodes, and rules of the modules, in the file of the tiers.
    nodes: dict
    rules: dict

    def services(self):
        return list(self.root.all())

    def rate(self, busy):
        """Requests per second at which the busiest station has this utilisation."""
        one = next(service for service in self.services() if service.instance == self.busiest)
        return busy * one.slots / ((one.cpu_ms + one.sleep_ms) / 1e3)

    def passed(self):
        """The links that calls pass, as recorded."""
        calls = [(one.node, callee.node) for one in self.services() for step in one.steps for callee in step]
        return {pair: figures for pair, figures in LINKS.items() if pair in calls}

    def tiers(self):
        """The file for `cctf place`. Recorded links are as recorded; only links that no recorded call passed are stated."""
        passed = self.passed()
        links = [
            {"u": u, "v": v, "delay_ms": delay_ms, "rate_bps": rate_bps}
            for (u, v), (delay_ms, rate_bps) in LINKS.items()
            if (u, v) not in passed
        ]
        return {"nodes": self.nodes, "links": links, "modules": self.rules}


def chain():
    """One module with an instance on each node."""
    back = Service("worker", "back", "cloud0", 2, 14, slots=2)
    middle = Service("worker", "middle", "edge0", 1, 4, steps=[[back]])
    front = Service("worker", "front", "ep0", 1, 4, steps=[[middle]])
    return Application(
        name="chain",
        root=front,
        busiest="back",
        nodes={"ep0": {"modules_max": 2}, "edge0": {}, "cloud0": {}},
        rules={"worker@ep0": {"on": ["ep0"]}},
    )


def shop():
    """A front that calls a cart, which calls payment; then stock and advice at the same time."""
    pay = Service("pay", "pay-1", "cloud0", 1, 5)
    cart = Service("cart", "cart-1", "edge0", 0.6, 2.4, steps=[[pay]])
    stock = Service("stock", "stock-1", "cloud0", 2, 14, slots=2)
    advice = Service("advice", "advice-1", "edge0", 1, 6)
    front = Service("front", "front-1", "ep0", 0.8, 2.2, steps=[[cart], [stock, advice]])
    return Application(
        name="shop",
        root=front,
        busiest="stock-1",
        nodes={"ep0": {"modules_max": 2}, "edge0": {"modules_max": 3}, "cloud0": {}},
        rules={"front": {"on": ["ep0"]}},
    )


APPLICATIONS = {"chain": chain, "shop": shop}
