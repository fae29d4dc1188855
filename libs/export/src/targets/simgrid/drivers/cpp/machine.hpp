// The parts of the simulation that SimGrid computes: the clock, CPU time on hosts, and transfers between hosts.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <simgrid/kernel/Timer.hpp>
#include <simgrid/s4u.hpp>

// The event that follows the end of an activity. The simulator chooses its meaning and index.
struct Token {
  uint8_t kind = 0;
  uint32_t index = 0;
};

class Machine {
public:
  // Loads the platform of an export. Throws std::runtime_error if it lacks a host of `nodes`.
  Machine(simgrid::s4u::Engine& engine, const std::string& platform, const std::vector<std::string>& nodes);

  // Both functions get the time in nanoseconds. `wake` is called at the times of wake_at, and `done` when an activity has ended.
  void run(std::function<void(int64_t)> wake, std::function<void(int64_t, Token)> done);

  // Calls `wake` at this time. Until then, only the earliest of several times counts.
  void wake_at(int64_t ns);

  // Nodes are indices in the list of nodes.
  bool has_route(uint32_t from, uint32_t to) const { return routes_.count({from, to}) > 0; }
  double speed(uint32_t node) const { return hosts_[node]->get_speed(); }
  void execute(uint32_t node, double flops, Token token);
  void send(uint32_t from, uint32_t to, int64_t bytes, Token token);

private:
  void start(simgrid::s4u::ActivityPtr activity, Token token);
  int64_t now() const;

  simgrid::s4u::Engine& engine_;
  std::vector<simgrid::s4u::Host*> hosts_;
  std::set<std::pair<uint32_t, uint32_t>> routes_;
  std::function<void(int64_t)> wake_;
  std::function<void(int64_t, Token)> done_;
  // Activities in progress. SimGrid does not keep activities for which no actor waits.
  std::unordered_map<const simgrid::s4u::Activity*, std::pair<simgrid::s4u::ActivityPtr, Token>> active_;
  // Activities that have ended. SimGrid still uses them when it reports their end.
  std::vector<simgrid::s4u::ActivityPtr> ended_;
  simgrid::kernel::timer::Timer* timer_ = nullptr;
  int64_t timer_ns_ = INT64_MAX;
};
