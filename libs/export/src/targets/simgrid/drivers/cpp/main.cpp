// Replays an exported CCTF run in SimGrid and writes the simulated run as CCTF.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include <sys/resource.h>

#include "results.hpp"
#include "simulator.hpp"

#include <simgrid/version.h>
#include <xbt/log.h>

namespace {

const char* const HELP =
    "Replays an exported CCTF run in SimGrid and writes the simulated run as CCTF.\n"
    "\n"
    "usage: replay EXPORT --out FOLDER [--cpu host|recorded] [--network links|recorded]\n"
    "\n"
    "  EXPORT      Folder that `cctf export simgrid` wrote\n"
    "  --out       New folder of the simulated run; its name is the run id\n"
    "  --cpu       host: CPU time is executed on the hosts of platform.xml, and waits for CPUs arise there. Default\n"
    "              recorded: own time passes as recorded, with recorded waits for CPUs\n"
    "  --network   links: calls between hosts with a route in platform.xml use its links; others take the recorded time. Default\n"
    "              recorded: all calls take the recorded time\n"
    "  --cfg=...   Settings of SimGrid (--help-cfg lists them). Default here: network/model:CM02\n"
    "\n"
    "Change stations.tsv (node, slots, slot policy, queue limit) and platform.xml (speeds, cores, links) to simulate another deployment.\n"
    "Then: cctf validate FOLDER; cctf compare RECORDED FOLDER; cctf report FOLDER\n";

struct Flags {
  std::string from, out;
  Options options;
};

Flags parse(int argc, char** argv)
{
  Flags flags;
  for (int place = 1; place < argc; ++place) {
    std::string name = argv[place];
    bool is_flag = name.rfind("--", 0) == 0;
    if (!is_flag && flags.from.empty()) {
      flags.from = name;
      continue;
    }
    if (!is_flag || place + 1 == argc)
      throw std::invalid_argument("invalid argument " + name);
    std::string value = argv[++place];
    if (name == "--out")
      flags.out = value;
    else if (name == "--cpu" && (value == "host" || value == "recorded"))
      flags.options.has_cpus = value == "host";
    else if (name == "--network" && (value == "links" || value == "recorded"))
      flags.options.has_links = value == "links";
    else
      throw std::invalid_argument("invalid argument " + name + " " + value);
  }
  if (flags.from.empty() || flags.out.empty())
    throw std::invalid_argument("the folder of the export or --out is missing");
  return flags;
}

std::string version(const Options& options)
{
  int major = 0, minor = 0, patch = 0;
  sg_version_get(&major, &minor, &patch);
  return "SimGrid " + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch) + ", CPU " +
         (options.has_cpus ? "of hosts" : "as recorded") + ", network " + (options.has_links ? "of links" : "as recorded");
}

double seconds_since(std::chrono::steady_clock::time_point begin)
{
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void run(simgrid::s4u::Engine& engine, const Flags& flags)
{
  auto begin = std::chrono::steady_clock::now();
  check_folder(flags.out);
  Workload work = read_workload(flags.from);
  std::vector<std::string> nodes;
  for (const Node& node : work.nodes)
    nodes.push_back(node.name);
  Machine machine(engine, flags.from + "/platform.xml", nodes);
  Simulator simulator(work, machine, flags.options);
  simulator.run();
  Summary summary = write_results(work, simulator, flags.out, version(flags.options));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%s: %zu roots, %llu invocations and %llu calls in %.3f s of simulated time; %llu refused, %llu failed\n",
              flags.out.c_str(), work.roots.size(), static_cast<unsigned long long>(summary.invocations),
              static_cast<unsigned long long>(summary.calls), summary.seconds,
              static_cast<unsigned long long>(summary.refused), static_cast<unsigned long long>(summary.failed));
  std::printf("took %.2f s and at most %ld MiB of memory\n", seconds_since(begin), usage.ru_maxrss / 1024);
  if (summary.unfinished > 0)
    std::fprintf(stderr, "warning: %llu invocations never ended, because requests that hold slots wait for one another: "
                         "raise slots in stations.tsv, or use the slot policy released\n",
                 static_cast<unsigned long long>(summary.unfinished));
}

} // namespace

int main(int argc, char** argv)
{
  bool has_model = false;
  for (int place = 1; place < argc; ++place) {
    // SimGrid would only print its settings.
    if (std::strcmp(argv[place], "--help") == 0 || std::strcmp(argv[place], "-h") == 0)
      return std::fputs(HELP, stdout) < 0;
    has_model |= std::strstr(argv[place], "network/model") != nullptr;
  }
  xbt_log_control_set("root.thresh:warning");
  simgrid::s4u::Engine engine(&argc, argv);
  // The default model multiplies latencies by 13, because it was fitted to TCP on a cluster.
  if (!has_model)
    simgrid::s4u::Engine::set_config("network/model:CM02");
  try {
    run(engine, parse(argc, argv));
    return 0;
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "error: %s; see replay --help\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
