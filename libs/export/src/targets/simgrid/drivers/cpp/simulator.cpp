// Stations, slots and own time. A station starts requests in the order of their arrival. A gap is the own time before a call or the
// answer.
#include "simulator.hpp"

#include <algorithm>
#include <cmath>

namespace {

// A thread that slept needs time to wake up. A thread that takes the next request immediately after its last one does not.
int64_t wakeup_of(int64_t wakeup, int64_t recorded_wait, int64_t waited)
{
  return recorded_wait > 0 || waited == 0 ? wakeup : 0;
}

} // namespace

Simulator::Simulator(const Workload& work, Machine& machine, Options options)
    : work_(work), machine_(machine), options_(options)
{
  invocations.reserve(work.invocations.size());
  for (const Invocation& invocation : work.invocations) {
    const Station& station = work.stations[invocation.station];
    InvocationState state(invocation);
    state.needs_slot = invocation.queues && station.slots != NONE;
    state.is_released = state.needs_slot && station.is_released;
    invocations.push_back(state);
  }
  calls.reserve(work.calls.size());
  for (const Call& call : work.calls)
    calls.emplace_back(call);
  connect();
}

// The inverse of waits_for, and the hosts of the stations.
void Simulator::connect()
{
  first_dependent_.assign(work_.calls.size() + 1, 0);
  for (uint32_t call : work_.waits_for)
    ++first_dependent_[call + 1];
  for (size_t call = 0; call < work_.calls.size(); ++call)
    first_dependent_[call + 1] += first_dependent_[call];
  std::vector<uint32_t> next = first_dependent_;
  dependents_.resize(work_.waits_for.size());
  auto add = [&](uint32_t call, const Wait& wait) {
    for (uint32_t place = 0; place < uint32_t(wait.after) + wait.any_of; ++place)
      dependents_[next[work_.waits_for[wait.first + place]]++] = {call, place >= wait.after};
  };
  for (uint32_t call = 0; call < work_.calls.size(); ++call)
    add(call, work_.calls[call].wait);
  for (const Invocation& invocation : work_.invocations)
    add(NONE, invocation.answer);
  std::unordered_map<std::string, uint32_t> nodes;
  for (const Node& node : work_.nodes)
    nodes.emplace(node.name, nodes.size());
  for (const Station& station : work_.stations) {
    StationState state;
    state.node = nodes.at(station.node);
    state.flops_per_ns = machine_.speed(nodes.at(station.recorded_node)) * 1e-9;
    stations_.push_back(std::move(state));
  }
  if (options_.has_cpus)
    burning_since_.assign(work_.calls.size() + work_.invocations.size(), 0);
}

void Simulator::run()
{
  if (work_.roots.empty())
    return;
  machine_.wake_at(work_.roots.front().at);
  machine_.run([this](int64_t now) { wake(now); },
               [this](int64_t now, Token token) {
                 // An activity can end within the same nanosecond as the last event.
                 now = std::max(now, last);
                 events_.push({now, static_cast<Kind>(token.kind), token.index});
                 machine_.wake_at(now);
               });
}

// Handles all arrivals from outside (which are sorted) and all events whose time has come.
void Simulator::wake(int64_t now)
{
  while (true) {
    Event event{NEVER, Arrive, NONE};
    if (next_root_ < work_.roots.size())
      event = {work_.roots[next_root_].at, Arrive, work_.roots[next_root_].invocation};
    bool is_root = events_.empty() || events_.top() > event;
    if (!is_root)
      event = events_.top();
    if (event.ns > now) {
      if (event.ns != NEVER)
        machine_.wake_at(event.ns);
      return;
    }
    is_root ? void(++next_root_) : events_.pop();
    last = event.ns;
    handle(event);
  }
}

void Simulator::handle(const Event& event)
{
  switch (event.kind) {
    case End: return end(event.index, event.ns);
    case CallEnd: return call_end(event.index, event.ns);
    case Leave: return leave(event.index, event.ns);
    case CallStart: return call_start(event.index, event.ns);
    case Arrive: return arrive(event.index, event.ns);
    case BurnForCall:
    case BurnForAnswer:
    case BurnBeside: return burn(event.kind, event.index, event.ns, event.ns);
    case CpuEndOfCall:
    case CpuEndOfAnswer:
    case CpuEndBeside: return cpu_ended(event.kind, event.index, event.ns);
    case Reply: return reply(event.index, event.ns);
  }
}

void Simulator::arrive(uint32_t index, int64_t now)
{
  InvocationState& state = invocations[index];
  uint32_t station = work_.invocations[index].station;
  state.enqueue = state.queued = now;
  state.has_arrived = true;
  if (!state.needs_slot)
    return start(index, now);
  if (has_free_slot(station) || stations_[station].queue.size() < work_.stations[station].queue_limit)
    queue(index, now);
  else
    refuse(index, now);
}

void Simulator::queue(uint32_t index, int64_t now)
{
  uint32_t station = work_.invocations[index].station;
  if (has_free_slot(station)) {
    ++stations_[station].busy;
    assign(index, now);
  } else
    stations_[station].queue.push_back(index);
}

void Simulator::assign(uint32_t index, int64_t now)
{
  invocations[index].holds_slot = true;
  invocations[index].has_started ? resume(index, now) : start(index, now);
}

// Answers immediately, without any of the invocation's work.
void Simulator::refuse(uint32_t index, int64_t now)
{
  InvocationState& state = invocations[index];
  state.state = State::Refused;
  state.start = state.end = now;
  state.has_answered = state.has_failed = true;
  answer_ends_call(index, now, now);
}

// Starts the invocation. It has a slot now, or needs none.
void Simulator::start(uint32_t index, int64_t now)
{
  const Invocation& invocation = work_.invocations[index];
  InvocationState& state = invocations[index];
  if (state.holds_slot)
    state.wakeup = wakeup_of(invocation.wakeup, invocation.recorded_wait, now - state.queued);
  state.has_started = true;
  state.start = state.awake = now + state.wakeup;
  if (options_.has_cpus && invocation.beside > 0)
    burn(BurnBeside, index, state.awake, now);
  for (uint32_t call = invocation.first_call; call < invocation.first_call + invocation.calls; ++call) {
    if (work_.calls[call].is_after_answer)
      break;
    if (calls[call].pending.one_less())
      work_for_call(call, now);
  }
  if (state.answer.one_less())
    work_for_answer(index, now);
}

// Continues after calls. The invocation has a slot again.
void Simulator::resume(uint32_t index, int64_t now)
{
  InvocationState& state = invocations[index];
  int64_t waited = now - state.queued;
  const Wait& wait = state.back_for == NONE ? work_.invocations[index].answer : work_.calls[state.back_for].wait;
  int64_t wakeup = wakeup_of(wait.wakeup, wait.slot_wait, waited);
  state.awake = now + wakeup;
  state.slot_wait += waited + wakeup;
  state.is_back = false;
  uint32_t call = std::exchange(state.ready, NONE);
  bool is_answer_ready = std::exchange(state.is_answer_ready, false);
  while (call != NONE) {
    work_for_call(call, now);
    call = std::exchange(calls[call].next_ready, NONE);
  }
  if (is_answer_ready)
    work_for_answer(index, now);
}

// Begins the own work before a call.
void Simulator::work_for_call(uint32_t index, int64_t now)
{
  const Call& call = work_.calls[index];
  InvocationState& state = invocations[call.invocation];
  ++state.working;
  int64_t begin = std::max(now, state.awake);
  if (is_simulated(call.wait))
    return burn(BurnForCall, index, begin, now);
  call_starts_at(index, begin + gap(call.invocation, call.wait), now);
}

void Simulator::call_starts_at(uint32_t index, int64_t start, int64_t now)
{
  const Call& call = work_.calls[index];
  if (invocations[call.invocation].is_released)
    after(std::max(start - call.early, now), 0, Leave, index);
  after(start, 0, CallStart, index);
}

// Begins the own work before the answer. If its end is known now, the answer can reach the caller before the end.
void Simulator::work_for_answer(uint32_t index, int64_t now)
{
  InvocationState& state = invocations[index];
  ++state.working;
  const Wait& wait = work_.invocations[index].answer;
  int64_t begin = std::max(now, state.awake);
  if (is_simulated(wait))
    return burn(BurnForAnswer, index, begin, now);
  int64_t end = begin + gap(index, wait);
  after(end, 0, End, index);
  if (is_ahead(index))
    answer_ends_call(index, end, now);
}

bool Simulator::is_ahead(uint32_t index) const
{
  const Invocation& invocation = work_.invocations[index];
  return invocation.caller != NONE && work_.calls[invocation.caller].ahead > 0 && !travels(invocation.caller) &&
         !is_simulated(invocation.answer);
}

// The recorded waits for CPUs that other processes caused. They are added, because only the stations are simulated.
int64_t Simulator::kept(uint32_t index, const Wait& wait)
{
  int64_t ppm = work_.stations[work_.invocations[index].station].cpu_wait_kept_ppm;
  // In two parts, because the product of a whole wait can exceed 64 bits.
  int64_t kept = wait.cpu_wait / 1'000'000 * ppm + wait.cpu_wait % 1'000'000 * ppm / 1'000'000;
  invocations[index].cpu_wait += kept;
  return kept;
}

// The CPU time of a gap, on the host of its station.
void Simulator::burn(Kind kind, uint32_t index, int64_t begin, int64_t now)
{
  if (begin > now)
    return after(begin, 0, kind, index);
  bool is_call = kind == BurnForCall;
  uint32_t invocation = is_call ? work_.calls[index].invocation : index;
  const StationState& station = stations_[work_.invocations[invocation].station];
  int64_t cpu = is_call ? work_.calls[index].wait.cpu
                        : kind == BurnForAnswer ? work_.invocations[index].answer.cpu : work_.invocations[index].beside;
  double flops = static_cast<double>(cpu) * station.flops_per_ns;
  invocations[invocation].cpu += std::llround(flops / machine_.speed(station.node) * 1e9);
  if (kind != BurnBeside)
    burning_since_[is_call ? index : work_.calls.size() + index] = now;
  uint8_t ends = kind + (CpuEndOfCall - BurnForCall);
  machine_.execute(station.node, flops, {ends, index});
}

// After its CPU time, the remaining time of a gap passes without work.
void Simulator::cpu_ended(Kind kind, uint32_t index, int64_t now)
{
  if (kind == CpuEndBeside)
    return;
  bool is_call = kind == CpuEndOfCall;
  uint32_t invocation = is_call ? work_.calls[index].invocation : index;
  const Wait& wait = is_call ? work_.calls[index].wait : work_.invocations[index].answer;
  const StationState& station = stations_[work_.invocations[invocation].station];
  double alone = static_cast<double>(wait.cpu) * station.flops_per_ns / machine_.speed(station.node) * 1e9;
  int64_t lasted = now - burning_since_[is_call ? index : work_.calls.size() + index];
  invocations[invocation].cpu_wait += std::max<int64_t>(lasted - std::llround(alone), 0);
  int64_t over = now + std::max<int64_t>(wait.gap - wait.cpu, 0) + kept(invocation, wait);
  is_call ? call_starts_at(index, over, now) : after(over, 0, End, index);
}

// All calls have ended for which a call waits.
void Simulator::call_is_ready(uint32_t index, int64_t now)
{
  const Call& call = work_.calls[index];
  InvocationState& state = invocations[call.invocation];
  if (state.has_answered) {
    // Work after the answer needs no slot.
    is_simulated(call.wait) ? burn(BurnForCall, index, now, now)
                            : after(now, gap(call.invocation, call.wait), CallStart, index);
  } else if (!state.needs_slot || state.holds_slot)
    work_for_call(index, now);
  else {
    calls[index].next_ready = std::exchange(state.ready, index);
    come_back(call.invocation, index, now);
  }
}

// All calls have ended for which the answer waits.
void Simulator::answer_is_ready(uint32_t index, int64_t now)
{
  InvocationState& state = invocations[index];
  if (!state.needs_slot || state.holds_slot)
    return work_for_answer(index, now);
  state.is_answer_ready = true;
  come_back(index, NONE, now);
}

// Enters the queue again, for a call or for the answer. The queue limit applies to new requests only.
void Simulator::come_back(uint32_t index, uint32_t back_for, int64_t now)
{
  InvocationState& state = invocations[index];
  if (std::exchange(state.is_back, true))
    return;
  state.back_for = back_for;
  state.queued = now;
  queue(index, now);
}

// An invocation keeps its slot while there is work for it.
void Simulator::leave(uint32_t index, int64_t now)
{
  uint32_t invocation = work_.calls[index].invocation;
  if (invocations[invocation].has_answered)
    return;
  if (--invocations[invocation].working == 0)
    free_slot(invocation, now);
}

// Gives the slot to the request that has waited for the longest time.
void Simulator::free_slot(uint32_t index, int64_t now)
{
  if (!std::exchange(invocations[index].holds_slot, false))
    return;
  StationState& station = stations_[work_.invocations[index].station];
  if (station.queue.empty()) {
    --station.busy;
    return;
  }
  uint32_t next = station.queue.front();
  station.queue.pop_front();
  assign(next, now);
}

void Simulator::end(uint32_t index, int64_t now)
{
  const Invocation& invocation = work_.invocations[index];
  InvocationState& state = invocations[index];
  state.state = State::Served;
  state.end = now;
  state.has_failed = would_fail(index);
  state.has_answered = true;
  free_slot(index, now);
  if (!is_ahead(index))
    answer_ends_call(index, now, now);
  for (uint32_t call = invocation.first_call + invocation.calls; call-- > invocation.first_call;) {
    if (!work_.calls[call].is_after_answer)
      break;
    if (calls[call].pending.one_less())
      call_is_ready(call, now);
  }
}
