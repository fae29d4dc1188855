"""The parts of the simulation that SimGrid computes: the clock, CPU time on hosts, and transfers between hosts."""

import heapq

from simgrid import Actor, Comm, Engine, Host, Semaphore, this_actor


class Machine:
    """`events` is a heap of events with known times. CPU time and transfers have their own actors, which add an event at the end."""

    def run(self):
        """The function of the actor that handles all events. The other actors only compute and send."""
        self.wakes = Semaphore(0)
        self.hosts = {name: Host.by_name(name) for name, _, _ in self.work.nodes}
        while self.events or self.active:
            if not self.events:
                self.wakes.acquire()
                continue
            due = self.events[0][0]
            left = due * 1e-9 - Engine.clock
            if left > 0:
                if self.active == 0:
                    this_actor.sleep_until(due * 1e-9)
                elif not self.wakes.acquire_timeout(left):
                    continue
            while self.events and self.events[0][0] <= due:
                now, kind, index = heapq.heappop(self.events)
                self.last = now
                self.handle(now, kind, index)

    def _activity(self, kind, index, perform):
        def body():
            perform()
            now = max(round(Engine.clock * 1e9), self.last)
            self.active -= 1
            heapq.heappush(self.events, (now, kind, index))
            self.wakes.release()

        self.active += 1
        Actor.create("activity", this_actor.get_host(), body)

    def execute(self, node, flops, kind, index):
        def perform():
            this_actor.set_host(self.hosts[node])
            this_actor.execute(flops)

        self._activity(kind, index, perform)

    def send(self, source, destination, size, kind, index):
        self._activity(kind, index, lambda: Comm.sendto(self.hosts[source], self.hosts[destination], size))
