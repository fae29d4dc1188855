"""Stations, slots and own time. A station starts requests in order of arrival. A gap is the own time before a call or the answer."""

import heapq
from collections import deque

from calls import Calls
from machine import Machine
from state import (
    ARRIVE,
    BURN_ANSWER,
    BURN_BESIDE,
    BURN_CALL,
    CALL_END,
    CALL_START,
    CPU_ANSWER,
    CPU_BESIDE,
    CPU_CALL,
    END,
    LEAVE,
    REFUSED,
    SERVED,
    CallState,
    InvocationState,
)
from workload import routes


class Simulator(Machine, Calls):
    def __init__(self, work, platform, has_cpus, has_links):
        self.work, self.has_cpus, self.has_links = work, has_cpus, has_links
        self.invocations = [InvocationState(one, work.stations[one.station]) for one in work.invocations]
        self.calls = [CallState(call) for call in work.calls]
        self.busy = [0] * len(work.stations)
        self.queues = [deque() for _ in work.stations]
        self.routes = routes(platform)
        self.dependents = [[] for _ in work.calls]
        for index, call in enumerate(work.calls):
            self._depends(index, call.wait)
        for invocation in work.invocations:
            self._depends(None, invocation.answer)
        self.events = [(root.at, ARRIVE, root.invocation) for root in work.roots]
        heapq.heapify(self.events)
        self.last, self.active, self.burning = 0, 0, {}

    def _depends(self, dependent, wait):
        for cause in wait.after:
            self.dependents[cause].append((dependent, False))
        for cause in wait.any_of:
            self.dependents[cause].append((dependent, True))

    def after(self, now, ns, kind, index):
        heapq.heappush(self.events, (now + ns, kind, index))

    def handle(self, now, kind, index):
        if kind in (BURN_CALL, BURN_ANSWER, BURN_BESIDE):
            self.burn(kind, index, now, now)
        elif kind in (CPU_CALL, CPU_ANSWER, CPU_BESIDE):
            self.cpu_ended(kind, index, now)
        else:
            rules = {END: self.end, CALL_END: self.call_end, LEAVE: self.leave, CALL_START: self.call_start, ARRIVE: self.arrive}
            rules.get(kind, self.reply)(index, now)

    def station(self, invocation):
        return self.work.stations[self.work.invocations[invocation].station]

    def has_free_slot(self, number):
        slots = self.work.stations[number].slots
        return slots is None or self.busy[number] < slots

    def arrive(self, index, now):
        state, number = self.invocations[index], self.work.invocations[index].station
        state.enqueue = state.queued = now
        state.has_arrived = True
        limit = self.work.stations[number].queue_limit
        if not state.needs_slot:
            self.start(index, now)
        elif self.has_free_slot(number) or limit is None or len(self.queues[number]) < limit:
            self.queue(index, now)
        else:
            self.refuse(index, now)

    def queue(self, index, now):
        number = self.work.invocations[index].station
        if self.has_free_slot(number):
            self.busy[number] += 1
            self.assign(index, now)
        else:
            self.queues[number].append(index)

    def assign(self, index, now):
        self.invocations[index].holds_slot = True
        (self.resume if self.invocations[index].has_started else self.start)(index, now)

    def refuse(self, index, now):
        """Answers immediately, without any of the invocation's work."""
        state = self.invocations[index]
        state.state, state.start, state.end = REFUSED, now, now
        state.has_answered = state.has_failed = True
        self.answer_ends_call(index, now, now)

    def start(self, index, now):
        invocation, state = self.work.invocations[index], self.invocations[index]
        if state.holds_slot:
            state.wakeup = wakeup_of(invocation.wakeup, invocation.recorded_wait, now - state.queued)
        state.has_started = True
        state.start = state.awake = now + state.wakeup
        if self.has_cpus and invocation.beside > 0:
            self.burn(BURN_BESIDE, index, state.awake, now)
        for call in range(invocation.first_call, invocation.first_call + invocation.calls):
            if self.work.calls[call].is_after_answer:
                break
            if self.calls[call].pending.one_less():
                self.work_for_call(call, now)
        if state.answer.one_less():
            self.work_for_answer(index, now)

    def resume(self, index, now):
        """Continues after calls. The invocation has a slot again."""
        state = self.invocations[index]
        waited = now - state.queued
        wait = self.work.invocations[index].answer if state.back_for is None else self.work.calls[state.back_for].wait
        wakeup = wakeup_of(wait.wakeup, wait.slot_wait, waited)
        state.awake = now + wakeup
        state.slot_wait += waited + wakeup
        state.is_back = False
        ready, state.ready = state.ready, []
        is_answer_ready, state.is_answer_ready = state.is_answer_ready, False
        for call in reversed(ready):
            self.work_for_call(call, now)
        if is_answer_ready:
            self.work_for_answer(index, now)

    def is_simulated(self, wait):
        return self.has_cpus and wait.cpu > 0

    def kept(self, invocation, wait):
        """The recorded waits for CPUs that other processes caused. They are added, because only the stations are simulated."""
        kept = wait.cpu_wait * self.station(invocation).cpu_wait_kept_ppm // 1_000_000
        self.invocations[invocation].cpu_wait += kept
        return kept

    def gap(self, invocation, wait):
        return wait.gap + (self.kept(invocation, wait) if self.has_cpus else wait.cpu_wait)

    def work_for_call(self, index, now):
        """Begins the own work before a call."""
        call = self.work.calls[index]
        state = self.invocations[call.invocation]
        state.working += 1
        begin = max(now, state.awake)
        if self.is_simulated(call.wait):
            self.burn(BURN_CALL, index, begin, now)
        else:
            self.call_starts_at(index, begin + self.gap(call.invocation, call.wait), now)

    def call_starts_at(self, index, start, now):
        call = self.work.calls[index]
        if self.invocations[call.invocation].is_released:
            self.after(max(start - call.early, now), 0, LEAVE, index)
        self.after(start, 0, CALL_START, index)

    def work_for_answer(self, index, now):
        """Begins the own work before the answer. If its end is known now, the answer can reach the caller before the end."""
        state, wait = self.invocations[index], self.work.invocations[index].answer
        state.working += 1
        begin = max(now, state.awake)
        if self.is_simulated(wait):
            self.burn(BURN_ANSWER, index, begin, now)
            return
        end = begin + self.gap(index, wait)
        self.after(end, 0, END, index)
        if self.is_ahead(index):
            self.answer_ends_call(index, end, now)

    def is_ahead(self, index):
        invocation = self.work.invocations[index]
        if invocation.caller is None or self.is_simulated(invocation.answer):
            return False
        return self.work.calls[invocation.caller].ahead > 0 and not self.travels(invocation.caller)

    def _burning(self, kind, index, kinds):
        """The invocation and the CPU time of a gap."""
        if kind == kinds[0]:
            call = self.work.calls[index]
            return call.invocation, call.wait.cpu
        invocation = self.work.invocations[index]
        return index, invocation.answer.cpu if kind == kinds[1] else invocation.beside

    def burn(self, kind, index, begin, now):
        """The CPU time of a gap, on the host of its station."""
        if begin > now:
            self.after(begin, 0, kind, index)
            return
        invocation, cpu = self._burning(kind, index, (BURN_CALL, BURN_ANSWER))
        flops, speed = self._flops(invocation, cpu)
        self.invocations[invocation].cpu += round_half_up(flops / speed * 1e9)
        ends = kind + CPU_CALL - BURN_CALL
        self.burning[ends, index] = now
        self.execute(self.station(invocation).node, flops, ends, index)

    def _flops(self, invocation, cpu):
        station = self.station(invocation)
        return cpu * (self.hosts[station.recorded_node].speed * 1e-9), self.hosts[station.node].speed

    def cpu_ended(self, kind, index, now):
        """After its CPU time, the remaining time of a gap passes without work."""
        since = self.burning.pop((kind, index))
        if kind == CPU_BESIDE:
            return
        invocation, cpu = self._burning(kind, index, (CPU_CALL, CPU_ANSWER))
        wait = self.work.calls[index].wait if kind == CPU_CALL else self.work.invocations[index].answer
        flops, speed = self._flops(invocation, cpu)
        self.invocations[invocation].cpu_wait += max(now - since - round_half_up(flops / speed * 1e9), 0)
        over = now + max(wait.gap - wait.cpu, 0) + self.kept(invocation, wait)
        if kind == CPU_CALL:
            self.call_starts_at(index, over, now)
        else:
            self.after(over, 0, END, index)

    def call_is_ready(self, index, now):
        call = self.work.calls[index]
        state = self.invocations[call.invocation]
        if state.has_answered:
            # Work after the answer needs no slot.
            if self.is_simulated(call.wait):
                self.burn(BURN_CALL, index, now, now)
            else:
                self.after(now, self.gap(call.invocation, call.wait), CALL_START, index)
        elif not state.needs_slot or state.holds_slot:
            self.work_for_call(index, now)
        else:
            state.ready.append(index)
            self.come_back(call.invocation, index, now)

    def answer_is_ready(self, index, now):
        state = self.invocations[index]
        if not state.needs_slot or state.holds_slot:
            self.work_for_answer(index, now)
        else:
            state.is_answer_ready = True
            self.come_back(index, None, now)

    def come_back(self, index, back_for, now):
        """Enters the queue again, for a call or for the answer. The queue limit applies to new requests only."""
        state = self.invocations[index]
        if not state.is_back:
            state.is_back, state.back_for, state.queued = True, back_for, now
            self.queue(index, now)

    def leave(self, index, now):
        """An invocation keeps its slot while there is work for it."""
        invocation = self.work.calls[index].invocation
        state = self.invocations[invocation]
        if not state.has_answered:
            state.working -= 1
            if state.working == 0:
                self.free_slot(invocation, now)

    def free_slot(self, index, now):
        """Gives the slot to the request that has waited for the longest time."""
        state, number = self.invocations[index], self.work.invocations[index].station
        if not state.holds_slot:
            return
        state.holds_slot = False
        if self.queues[number]:
            self.assign(self.queues[number].popleft(), now)
        else:
            self.busy[number] -= 1

    def end(self, index, now):
        invocation, state = self.work.invocations[index], self.invocations[index]
        state.state, state.end = SERVED, now
        state.has_failed = self.would_fail(index)
        state.has_answered = True
        self.free_slot(index, now)
        if not self.is_ahead(index):
            self.answer_ends_call(index, now, now)
        for call in reversed(range(invocation.first_call, invocation.first_call + invocation.calls)):
            if not self.work.calls[call].is_after_answer:
                break
            if self.calls[call].pending.one_less():
                self.call_is_ready(call, now)


def round_half_up(value):
    return int(value + 0.5)


def wakeup_of(wakeup, recorded_wait, waited):
    """A thread that slept needs time to wake up. A thread that takes the next request immediately after its last one does not."""
    return wakeup if recorded_wait > 0 or waited == 0 else 0
