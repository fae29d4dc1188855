// The parts of the simulation that SimGrid computes. Activities have no actors, so that 100,000 of them need no stacks.
#include "machine.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "workload.hpp"

namespace sg = simgrid::s4u;
using simgrid::kernel::timer::Timer;

Machine::Machine(sg::Engine& engine, const std::string& platform, const std::vector<std::string>& nodes)
    : engine_(engine)
{
  engine_.load_platform(platform);
  std::unordered_map<std::string, uint32_t> numbers;
  for (const std::string& node : nodes) {
    sg::Host* host = sg::Host::by_name_or_null(node);
    if (host == nullptr)
      throw std::runtime_error("platform.xml has no host " + node + ", which stations.tsv names: add it there");
    numbers[node] = hosts_.size();
    hosts_.push_back(host);
  }
  for (const auto& [from, to] : read_routes(platform))
    if (numbers.count(from) > 0 && numbers.count(to) > 0)
      routes_.insert({numbers[from], numbers[to]});
}

void Machine::run(std::function<void(int64_t)> wake, std::function<void(int64_t, Token)> done)
{
  wake_ = std::move(wake);
  done_ = std::move(done);
  sg::Activity::on_completion_cb([this](const sg::Activity& activity) {
    auto found = active_.find(&activity);
    if (found == active_.end())
      return;
    auto [kept, token] = found->second;
    active_.erase(found);
    ended_.push_back(kept);
    done_(now(), token);
  });
  engine_.run();
}

int64_t Machine::now() const
{
  return std::llround(sg::Engine::get_clock() * 1e9);
}

void Machine::wake_at(int64_t ns)
{
  if (ns >= timer_ns_)
    return;
  if (timer_ != nullptr)
    timer_->remove();
  timer_ns_ = ns;
  // The rounded time may be earlier than the clock by less than a nanosecond. SimGrid would refuse it.
  double date = std::max(static_cast<double>(ns) * 1e-9, sg::Engine::get_clock());
  timer_ = Timer::set(date, [this, ns] {
    timer_ = nullptr;
    timer_ns_ = INT64_MAX;
    ended_.clear();
    wake_(ns);
  });
}

void Machine::start(sg::ActivityPtr activity, Token token)
{
  active_.emplace(activity.get(), std::make_pair(activity, token));
  activity->vetoable_start();
}

void Machine::execute(uint32_t node, double flops, Token token)
{
  sg::ExecPtr exec = sg::Exec::init();
  exec->set_flops_amount(flops)->set_host(hosts_[node]);
  start(exec, token);
}

void Machine::send(uint32_t from, uint32_t to, int64_t bytes, Token token)
{
  sg::CommPtr comm = sg::Comm::sendto_init(hosts_[from], hosts_[to]);
  comm->set_payload_size(static_cast<double>(std::max<int64_t>(bytes, 0)));
  start(comm, token);
}
