"""The state of invocations and calls during the simulation."""

# Events at the same time are handled in this order. Burning is used only with SimGrid's CPUs.
END, CALL_END, LEAVE, CALL_START, ARRIVE, BURN_CALL, BURN_ANSWER, BURN_BESIDE, CPU_CALL, CPU_ANSWER, CPU_BESIDE, REPLY = range(12)
UNFINISHED, SERVED, REFUSED = range(3)


class Pending:
    """The events for which a call or an answer still waits: the start, each call of `after`, and the group."""

    __slots__ = ("left", "of_group")

    def __init__(self, wait):
        self.left = 1 + len(wait.after) + (wait.need > 0)
        self.of_group = wait.need

    def one_less(self):
        self.left = max(self.left - 1, 0)
        return self.left == 0

    def one_of_group_less(self):
        if self.of_group == 0:
            return False
        self.of_group -= 1
        return self.of_group == 0 and self.one_less()


class InvocationState:
    def __init__(self, invocation, station):
        self.answer = Pending(invocation.answer)
        self.working, self.ready, self.back_for = 0, [], None
        self.enqueue = self.start = self.end = self.queued = self.awake = 0
        self.slot_wait = self.wakeup = self.cpu = self.cpu_wait = 0
        self.state = UNFINISHED
        self.has_arrived = self.is_answer_ready = self.is_back = self.holds_slot = False
        self.needs_slot = invocation.queues and station.slots is not None
        self.is_released = self.needs_slot and station.is_released
        self.has_started = self.has_answered = self.has_failed_call = self.has_failed = False


class CallState:
    def __init__(self, call):
        self.pending = Pending(call.wait)
        self.start = self.end = 0
        self.answered = None
        self.has_started = self.has_ended = self.has_failed = False
