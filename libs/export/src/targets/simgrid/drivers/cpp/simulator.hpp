// The state of all invocations, calls and stations, and the rules by which it changes.
#pragma once

#include <cstdint>
#include <deque>
#include <queue>
#include <vector>

#include "machine.hpp"
#include "workload.hpp"

struct Options {
  // Whether CPU time is executed on SimGrid's hosts. Of the recorded waits for CPUs, a gap then takes only those that other processes
  // caused. If not, a gap takes its recorded time, including all recorded waits for CPUs.
  bool has_cpus = true;
  // Whether calls between nodes with a route use SimGrid's links. If not, or without a route, they take the recorded time.
  bool has_links = true;
};

enum class State : uint8_t { Unfinished, Served, Refused };

// The calls for which a call or an answer still waits.
struct Pending {
  uint16_t left = 0;      // the start, each call of `after`, and the group
  uint16_t of_group = 0;  // further calls that must end of `any_of`

  explicit Pending(const Wait& wait) : left(1 + wait.after + (wait.need > 0)), of_group(wait.need) {}
  // Both functions return whether there is nothing left to wait for.
  bool one_less()
  {
    left -= left > 0;
    return left == 0;
  }
  bool one_of_group_less() { return of_group > 0 && --of_group == 0 && one_less(); }
};

// The state of an invocation, and its times in nanoseconds since the first arrival.
struct InvocationState {
  explicit InvocationState(const Invocation& invocation) : answer(invocation.answer) {}

  Pending answer;
  uint32_t working = 0;    // gaps that last
  uint32_t ready = NONE;   // the first call whose gap begins with the next slot
  uint32_t back_for = NONE; // the call for which it queued again; NONE: the answer
  int64_t enqueue = 0, start = 0, end = 0, queued = 0, awake = 0;
  int64_t slot_wait = 0, wakeup = 0, cpu = 0, cpu_wait = 0;
  State state = State::Unfinished;
  bool has_arrived = false, is_answer_ready = false, is_back = false;
  bool needs_slot = false, is_released = false, holds_slot = false;
  bool has_started = false, has_answered = false, has_failed_call = false, has_failed = false;
};

struct CallState {
  explicit CallState(const Call& call) : pending(call.wait) {}

  Pending pending;
  uint32_t next_ready = NONE;
  int64_t start = 0, end = 0;
  int64_t answered = NEVER;  // when the answer is there
  bool has_started = false, has_ended = false, has_failed = false;
};

class Simulator {
public:
  Simulator(const Workload& work, Machine& machine, Options options);
  void run();

  std::vector<InvocationState> invocations;
  std::vector<CallState> calls;
  int64_t last = 0;  // time of the last event
  bool has_cpus() const { return options_.has_cpus; }

private:
  // Events at the same time are handled in this order. Burn and CpuEnd are used only with SimGrid's CPUs.
  enum Kind : uint8_t {
    End, CallEnd, Leave, CallStart, Arrive,
    BurnForCall, BurnForAnswer, BurnBeside, CpuEndOfCall, CpuEndOfAnswer, CpuEndBeside, Reply
  };
  struct Event {
    int64_t ns;
    Kind kind;
    uint32_t index;
    bool operator>(const Event& other) const
    {
      if (ns != other.ns)
        return ns > other.ns;
      return kind != other.kind ? kind > other.kind : index > other.index;
    }
  };
  struct StationState {
    uint32_t node = 0;
    double flops_per_ns = 0;  // of a CPU on which the work was recorded
    uint32_t busy = 0;
    std::deque<uint32_t> queue;
  };
  struct Dependent {
    uint32_t call;  // NONE: the answer
    bool is_any;
  };

  void connect();
  void wake(int64_t now);
  void after(int64_t now, int64_t ns, Kind kind, uint32_t index) { events_.push({now + ns, kind, index}); }
  void handle(const Event& event);

  // simulator.cpp: stations and own time
  bool has_free_slot(uint32_t station) const { return stations_[station].busy < work_.stations[station].slots; }
  void arrive(uint32_t invocation, int64_t now);
  void queue(uint32_t invocation, int64_t now);
  void assign(uint32_t invocation, int64_t now);
  void refuse(uint32_t invocation, int64_t now);
  void start(uint32_t invocation, int64_t now);
  void resume(uint32_t invocation, int64_t now);
  void work_for_call(uint32_t call, int64_t now);
  void work_for_answer(uint32_t invocation, int64_t now);
  void call_starts_at(uint32_t call, int64_t start, int64_t now);
  void burn(Kind kind, uint32_t index, int64_t begin, int64_t now);
  void cpu_ended(Kind kind, uint32_t index, int64_t now);
  void call_is_ready(uint32_t call, int64_t now);
  void answer_is_ready(uint32_t invocation, int64_t now);
  void come_back(uint32_t invocation, uint32_t back_for, int64_t now);
  void leave(uint32_t call, int64_t now);
  void free_slot(uint32_t invocation, int64_t now);
  void end(uint32_t invocation, int64_t now);
  bool is_simulated(const Wait& wait) const { return options_.has_cpus && wait.cpu > 0; }
  int64_t kept(uint32_t invocation, const Wait& wait);
  int64_t gap(uint32_t invocation, const Wait& wait) { return wait.gap + (options_.has_cpus ? kept(invocation, wait) : wait.cpu_wait); }
  bool is_ahead(uint32_t invocation) const;

  // calls.cpp: calls and their results
  void call_start(uint32_t call, int64_t now);
  void call_arrives(uint32_t call, int64_t at);
  void call_end(uint32_t call, int64_t now);
  void reply(uint32_t call, int64_t now);
  bool fails(uint32_t call, int64_t now) const;
  bool would_fail(uint32_t invocation) const;
  void answer_ends_call(uint32_t invocation, int64_t end, int64_t now);
  bool travels(uint32_t call) const;

  const Workload& work_;
  Machine& machine_;
  Options options_;
  std::vector<StationState> stations_;
  std::vector<uint32_t> first_dependent_;
  std::vector<Dependent> dependents_;
  std::priority_queue<Event, std::vector<Event>, std::greater<Event>> events_;
  std::vector<int64_t> burning_since_;  // by call, then by invocation
  size_t next_root_ = 0;
};
