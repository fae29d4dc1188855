// Starts, ends and results of calls.
#include "simulator.hpp"

#include <algorithm>

// Whether a request and its answer use SimGrid's links.
bool Simulator::travels(uint32_t index) const
{
  const Call& call = work_.calls[index];
  if (!options_.has_links || call.callee == NONE || call.what == What::Message)
    return false;
  uint32_t from = stations_[work_.invocations[call.invocation].station].node;
  uint32_t to = stations_[work_.invocations[call.callee].station].node;
  return from != to && machine_.has_route(from, to) && machine_.has_route(to, from);
}

void Simulator::call_start(uint32_t index, int64_t now)
{
  const Call& call = work_.calls[index];
  calls[index].has_started = true;
  calls[index].start = now;
  if (travels(index)) {
    uint32_t from = stations_[work_.invocations[call.invocation].station].node;
    uint32_t to = stations_[work_.invocations[call.callee].station].node;
    machine_.send(from, to, call.bytes_out, {Arrive, call.callee});
    // If a call causes several invocations, further ones arrive after the first one: here, after the recorded time.
    for (uint32_t next = work_.invocations[call.callee].sibling; next != NONE; next = work_.invocations[next].sibling)
      after(now + call.out, work_.invocations[next].delay, Arrive, next);
  } else if (call.what != What::Message)
    call_arrives(index, now + call.out);
  if (call.ends != Ends::Answer)
    after(now, call.duration, CallEnd, index);
}

// All invocations that a call causes arrive after their delays.
void Simulator::call_arrives(uint32_t index, int64_t at)
{
  for (uint32_t next = work_.calls[index].callee; next != NONE; next = work_.invocations[next].sibling)
    after(at, work_.invocations[next].delay, Arrive, next);
}

void Simulator::call_end(uint32_t index, int64_t now)
{
  const Call& call = work_.calls[index];
  CallState& state = calls[index];
  if (std::exchange(state.has_ended, true))
    return;
  state.end = now;
  state.has_failed = state.has_started && fails(index, now);
  invocations[call.invocation].has_failed_call |= state.has_failed && call.fails_invocation;
  if (state.has_started && call.what == What::Message)
    call_arrives(index, now);
  bool has_failed = state.has_failed;
  for (uint32_t place = first_dependent_[index]; place < first_dependent_[index + 1]; ++place) {
    Dependent dependent = dependents_[place];
    bool is_answer = dependent.call == NONE;
    // A retry is sent only if its earlier attempt failed. Otherwise it counts as ended.
    if (!has_failed && !is_answer && work_.calls[dependent.call].retry_of == index) {
      after(now, 0, CallEnd, dependent.call);
      continue;
    }
    Pending& pending = is_answer ? invocations[call.invocation].answer : calls[dependent.call].pending;
    bool is_ready = dependent.is_any ? pending.one_of_group_less() : pending.one_less();
    if (is_ready)
      is_answer ? answer_is_ready(call.invocation, now) : call_is_ready(dependent.call, now);
  }
}

// Whether a call that ends now has failed.
bool Simulator::fails(uint32_t index, int64_t now) const
{
  const Call& call = work_.calls[index];
  if (call.ends == Ends::Duration)
    return call.is_failed;
  bool has_answered = call.callee != NONE && invocations[call.callee].has_answered;
  bool callee_failed = has_answered ? invocations[call.callee].has_failed : call.callee != NONE && would_fail(call.callee);
  if (call.ends == Ends::Answer)
    return callee_failed;
  return calls[index].answered > now || callee_failed;
}

bool Simulator::would_fail(uint32_t index) const
{
  switch (work_.invocations[index].fails) {
    case Fails::Never: return false;
    case Fails::Always: return true;
    case Fails::WithCalls: return invocations[index].has_failed_call;
  }
  return false;
}

// The invocation ends. If it is the one that answers its call, its answer ends the call.
void Simulator::answer_ends_call(uint32_t index, int64_t end, int64_t now)
{
  uint32_t caller = work_.invocations[index].caller;
  if (caller == NONE || work_.calls[caller].callee != index)
    return;
  const Call& call = work_.calls[caller];
  if (call.ends == Ends::Duration || call.what == What::Message)
    return;
  if (travels(caller)) {
    uint32_t from = stations_[work_.invocations[index].station].node;
    uint32_t to = stations_[work_.invocations[call.invocation].station].node;
    bool is_refused = invocations[index].state == State::Refused;
    machine_.send(from, to, is_refused ? 0 : call.bytes_in, {Reply, caller});
    return;
  }
  int64_t at = std::max(end + call.back - (is_ahead(index) ? call.ahead : 0), now);
  calls[caller].answered = at;
  after(at, 0, CallEnd, caller);
}

void Simulator::reply(uint32_t index, int64_t now)
{
  calls[index].answered = now;
  call_end(index, now);
}
