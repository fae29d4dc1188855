"""Starts, ends and results of calls."""

from state import ARRIVE, CALL_END, REFUSED, REPLY


class Calls:
    def nodes(self, call):
        callee = self.work.calls[call].callee
        return self.station(self.work.calls[call].invocation).node, self.station(callee).node

    def travels(self, index):
        """Whether a request and its answer use SimGrid's links."""
        call = self.work.calls[index]
        if not self.has_links or call.callee is None or call.what == "message":
            return False
        here, there = self.nodes(index)
        return here != there and (here, there) in self.routes and (there, here) in self.routes

    def call_start(self, index, now):
        call, state = self.work.calls[index], self.calls[index]
        state.has_started, state.start = True, now
        if self.travels(index):
            here, there = self.nodes(index)
            self.send(here, there, call.bytes_out or 0, ARRIVE, call.callee)
            # If a call causes several invocations, further ones arrive after the first one: here, after the recorded time.
            self.arrivals(self.work.invocations[call.callee].sibling, now + call.out)
        elif call.what != "message":
            self.arrivals(call.callee, now + call.out)
        if call.ends != "answer":
            self.after(now, call.duration, CALL_END, index)

    def arrivals(self, callee, at):
        while callee is not None:
            self.after(at, self.work.invocations[callee].delay, ARRIVE, callee)
            callee = self.work.invocations[callee].sibling

    def call_end(self, index, now):
        call, state = self.work.calls[index], self.calls[index]
        if state.has_ended:
            return
        state.has_ended, state.end = True, now
        state.has_failed = state.has_started and self.fails(index, now)
        if state.has_failed and call.fails_invocation:
            self.invocations[call.invocation].has_failed_call = True
        if state.has_started and call.what == "message":
            self.arrivals(call.callee, now)
        for dependent, is_any in self.dependents[index]:
            # A retry is sent only if its earlier attempt failed. Otherwise it counts as ended.
            if dependent is not None and not state.has_failed and self.work.calls[dependent].retry_of == index:
                self.after(now, 0, CALL_END, dependent)
                continue
            pending = self.invocations[call.invocation].answer if dependent is None else self.calls[dependent].pending
            if pending.one_of_group_less() if is_any else pending.one_less():
                if dependent is None:
                    self.answer_is_ready(call.invocation, now)
                else:
                    self.call_is_ready(dependent, now)

    def fails(self, index, now):
        """Whether a call that ends now has failed."""
        call = self.work.calls[index]
        if call.ends == "duration":
            return call.is_failed
        callee_failed = False
        if call.callee is not None:
            callee = self.invocations[call.callee]
            callee_failed = callee.has_failed if callee.has_answered else self.would_fail(call.callee)
        if call.ends == "answer":
            return callee_failed
        answered = self.calls[index].answered
        return answered is None or answered > now or callee_failed

    def would_fail(self, index):
        fails = self.work.invocations[index].fails
        return fails == "always" or (fails == "with_calls" and self.invocations[index].has_failed_call)

    def answer_ends_call(self, index, end, now):
        """The invocation ends. If it is the one that answers its call, its answer ends the call."""
        caller = self.work.invocations[index].caller
        call = None if caller is None else self.work.calls[caller]
        if call is None or call.callee != index or call.ends == "duration" or call.what == "message":
            return
        if self.travels(caller):
            here, there = self.nodes(caller)
            size = 0 if self.invocations[index].state == REFUSED else call.bytes_in or 0
            self.send(there, here, size, REPLY, caller)
            return
        at = max(end + call.back - (call.ahead if self.is_ahead(index) else 0), now)
        self.calls[caller].answered = at
        self.after(at, 0, CALL_END, caller)

    def reply(self, index, now):
        self.calls[index].answered = now
        self.call_end(index, now)
