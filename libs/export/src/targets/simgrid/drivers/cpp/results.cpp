// Rows of invocations and calls in the order of the export, and the inventories of the simulated run.
#include "results.hpp"

#include <filesystem>
#include <stdexcept>

#include "out.hpp"

namespace fs = std::filesystem;

namespace {

const char* const CLIENT = "simgrid-client";
const char* const KINDS[] = {"server", "consumer", "internal", "client", "producer"};

// Status and error class of a refused request. They are the same as those of our service and load driver.
constexpr int32_t UNAVAILABLE = 503;

class Results {
public:
  Results(const Workload& work, const Simulator& simulator, const fs::path& folder, std::string run_id)
      : work_(work), simulator_(simulator), folder_(folder), run_id_(std::move(run_id)), endpoints_(work.endpoints.size())
  {
    for (const Station& station : work.stations) {
      std::string names = ",\"module_id\":\"" + station.module + "\",\"instance_id\":\"" + station.instance + "\"";
      stations_.push_back({names, ",\"node\":\"" + station.node + "\",\"stage\":\"" + work.stage(station.node) + "\""});
    }
  }

  Summary write(const std::string& simulated_by)
  {
    first_ns_ = work_.roots.empty() ? 0 : work_.roots.front().at;
    last_ns_ = std::max(simulator_.last, first_ns_);
    for (const Root& root : work_.roots)
      first_ns_ = std::min(first_ns_, root.at - root.out);
    Out invocations(folder_ / "invocations.jsonl");
    for (uint32_t index = 0; index < work_.invocations.size(); ++index)
      invocation(invocations, index);
    invocations.finish();
    Out calls(folder_ / "calls.jsonl");
    size_t root = 0;
    for (uint32_t index = 0; index < work_.invocations.size(); ++index) {
      if (root < work_.roots.size() && work_.roots[root].invocation == index)
        client_call(calls, work_.roots[root++]);
      const Invocation& made_by = work_.invocations[index];
      for (uint32_t call = made_by.first_call; call < made_by.first_call + made_by.calls; ++call)
        call_row(calls, call);
    }
    calls.finish();
    for (const char* name : {"host_metrics.jsonl", "link_metrics.jsonl", "system_stats.jsonl"})
      Out(folder_ / name).finish();
    inventories();
    uint64_t starts = placement();
    meta(invocations.lines, calls.lines, starts, simulated_by);
    summary_.invocations = invocations.lines;
    summary_.calls = calls.lines;
    summary_.seconds = static_cast<double>(last_ns_ - first_ns_) * 1e-9;
    return summary_;
  }

private:
  Out& trace(Out& out, const Root& root) { return out.raw("{\"trace_id\":\"").hex(root.trace_high).hex(root.trace_low).raw("\""); }

  // The call that caused an invocation, if it has a row.
  uint64_t caller_id(const Invocation& invocation) const
  {
    if (invocation.caller != NONE)
      return work_.calls[invocation.caller].span_id;
    const Root& root = work_.roots[invocation.root];
    return &work_.invocations[root.invocation] == &invocation ? root.call_span_id : 0;
  }

  // The result of an invocation. It is the recorded one, unless the invocation fails now or no longer fails.
  std::pair<int32_t, Text> result(uint32_t index) const
  {
    const Invocation& invocation = work_.invocations[index];
    const InvocationState& state = simulator_.invocations[index];
    if (state.state == State::Refused)
      return {UNAVAILABLE, "\"503\""};
    if (state.has_failed != invocation.has_failed)
      return {-1, ""};
    return {invocation.status, invocation.error == NONE ? "" : work_.errors[invocation.error]};
  }

  void invocation(Out& out, uint32_t index)
  {
    const Invocation& invocation = work_.invocations[index];
    const InvocationState& state = simulator_.invocations[index];
    if (state.state == State::Unfinished) {
      // If the call of an invocation was never made, the invocation has not arrived.
      summary_.unfinished += state.has_arrived;
      return;
    }
    bool is_refused = state.state == State::Refused;
    summary_.refused += is_refused;
    summary_.failed += state.has_failed;
    ++endpoints_[invocation.endpoint];
    uint64_t caller = caller_id(invocation);
    const Call* call = invocation.caller == NONE ? nullptr : &work_.calls[invocation.caller];
    trace(out, work_.roots[invocation.root]).id("span_id", invocation.span_id);
    if (call != nullptr) {
      uint64_t parent = work_.invocations[call->invocation].span_id;
      out.id("parent_id", parent).id("parent_span_id", caller == 0 ? parent : caller);
    } else {
      out.raw(",\"parent_id\":null");
      caller == 0 ? out.raw(",\"parent_span_id\":null") : out.id("parent_span_id", caller);
    }
    out.raw(stations_[invocation.station].names);
    out.ms("ts_enqueue", work_.epoch + state.enqueue).ms("ts_start", work_.epoch + state.start);
    out.ms("ts_end", work_.epoch + state.end).raw(stations_[invocation.station].place);
    out.raw(",").raw(work_.endpoints[invocation.endpoint].in_rows);
    out.integer("bytes_in", invocation.bytes_in).integer("bytes_out", is_refused ? -1 : invocation.bytes_out);
    times(out, index);
    auto [status, error] = result(index);
    out.integer("status", status);
    if (!error.empty())
      out.raw(",\"error_type\":").raw(error);
    out.raw(",\"downstream_ms\":null");
    waits(out, index);
    out.text("kind", KINDS[static_cast<int>(invocation.kind)]);
    if (caller != 0)
      out.id("caller_span_id", caller);
    network(out, invocation, state);
    out.raw("}").end_line();
  }

  void times(Out& out, uint32_t index)
  {
    const Invocation& invocation = work_.invocations[index];
    const InvocationState& state = simulator_.invocations[index];
    if (invocation.cpu < 0 || state.state == State::Refused)
      out.raw(",\"cpu_time_ms\":null");
    else
      out.ms("cpu_time_ms", has_cpus_ ? state.cpu : invocation.cpu);
    if (state.needs_slot && state.state == State::Served)
      out.ms("queue_time_ms", state.start - state.enqueue);
    else
      out.raw(",\"queue_time_ms\":null");
    out.ms("service_time_ms", state.end - state.start).ms("rt_ms", state.end - state.enqueue);
  }

  void waits(Out& out, uint32_t index)
  {
    const Invocation& invocation = work_.invocations[index];
    const InvocationState& state = simulator_.invocations[index];
    if (state.state == State::Refused)
      return;
    int64_t cpu_wait = state.cpu_wait;
    if (!has_cpus_) {
      cpu_wait = invocation.answer.cpu_wait;
      for (uint32_t call = invocation.first_call; call < invocation.first_call + invocation.calls; ++call)
        cpu_wait += work_.calls[call].wait.cpu_wait;
    }
    if (invocation.cpu >= 0)
      out.ms("cpu_wait_ms", cpu_wait);
    if (state.needs_slot)
      out.ms("wakeup_ms", state.wakeup);
    if (state.is_released && invocation.calls > 0)
      out.ms("slot_wait_ms", state.slot_wait);
  }

  // The time by which the call took longer than the response.
  void network(Out& out, const Invocation& invocation, const InvocationState& state)
  {
    int64_t net = 0;
    if (invocation.caller != NONE) {
      const Call& call = work_.calls[invocation.caller];
      const CallState& made = simulator_.calls[invocation.caller];
      bool answers = call.callee != NONE && &work_.invocations[call.callee] == &invocation;
      if (call.span_id == 0 || call.what == What::Message || !made.has_ended || !answers)
        return;
      net = made.end - made.start - (state.end - state.enqueue);
    } else if (caller_id(invocation) != 0)
      net = work_.roots[invocation.root].out + work_.roots[invocation.root].back;
    else
      return;
    if (net >= 0)
      out.ms("net_ms", net);
    else
      out.raw(",\"flags\":[\"child_outlives_caller\"]");
  }

  void client_call(Out& out, const Root& root)
  {
    const Invocation& invocation = work_.invocations[root.invocation];
    const InvocationState& state = simulator_.invocations[root.invocation];
    if (root.call_span_id == 0 || state.state == State::Unfinished)
      return;
    ++summary_.client_calls;
    last_ns_ = std::max(last_ns_, state.end + root.back);
    trace(out, root).id("span_id", root.call_span_id).raw(",\"parent_span_id\":null,\"ancestor_id\":null");
    out.text("module_id", CLIENT).text("instance_id", CLIENT).text("node", CLIENT).text("stage", "unknown");
    out.ms("ts_start", work_.epoch + state.enqueue - root.out).ms("ts_end", work_.epoch + state.end + root.back);
    out.raw(",").raw(work_.endpoints[invocation.endpoint].in_rows);
    out.integer("bytes_out", invocation.bytes_in);
    out.integer("bytes_in", state.state == State::Refused ? -1 : invocation.bytes_out);
    auto [status, error] = result(root.invocation);
    out.integer("status", status).text("kind", "client");
    out.text("peer_module", work_.stations[invocation.station].module);
    if (!error.empty())
      out.raw(",\"error_type\":").raw(error);
    out.raw("}").end_line();
  }

  void call_row(Out& out, uint32_t index)
  {
    const Call& call = work_.calls[index];
    const CallState& state = simulator_.calls[index];
    if (call.span_id == 0 || !state.has_started || !state.has_ended)
      return;
    const Invocation& caller = work_.invocations[call.invocation];
    trace(out, work_.roots[caller.root]).id("span_id", call.span_id);
    out.id("parent_span_id", caller.span_id).id("ancestor_id", caller.span_id);
    out.raw(stations_[caller.station].names).raw(stations_[caller.station].place);
    out.ms("ts_start", work_.epoch + state.start).ms("ts_end", work_.epoch + state.end);
    out.raw(",").raw(call.label == NONE ? "\"method\":null,\"path\":null" : work_.labels[call.label].in_rows);
    out.integer("bytes_out", call.bytes_out);
    bool is_timeout = call.ends == Ends::Timeout && state.answered > state.end;
    bool is_refused = call.callee != NONE && simulator_.invocations[call.callee].state == State::Refused;
    out.integer("bytes_in", is_timeout || is_refused ? -1 : call.bytes_in);
    int32_t status = call.status;
    Text error = call.error == NONE ? "" : work_.errors[call.error];
    if (state.has_failed != call.is_failed) {
      std::tie(status, error) = is_timeout || call.callee == NONE ? std::pair<int32_t, Text>(-1, "") : result(call.callee);
      if (is_timeout)
        error = "\"timeout\"";
    }
    out.integer("status", status).text("kind", call.what == What::Message ? "producer" : "client");
    if (call.label != NONE)
      out.raw(work_.labels[call.label].peer);
    if (call.resends > 0)
      out.integer("resend_count", call.resends);
    if (!error.empty())
      out.raw(",\"error_type\":").raw(error);
    out.raw("}").end_line();
  }

  void inventories()
  {
    bool has_client = summary_.client_calls > 0;
    std::vector<std::string> rows;
    for (const Node& node : work_.nodes)
      if (!node.row.empty())
        rows.push_back(node.row);
    if (has_client)
      rows.push_back(std::string("{\"node_id\":\"") + CLIENT + "\",\"stage\":\"unknown\",\"cpu_cores\":null,\"mem_mb\":null}");
    array("nodes.json", rows);
    array("links.json", work_.links);
    rows.clear();
    for (const Module& module : work_.modules)
      rows.push_back("{" + module.row + instances(module.name) + endpoints(module.name) + "}");
    if (has_client)
      rows.push_back(std::string("{\"app_id\":null,\"module_id\":\"") + CLIENT + "\",\"name\":\"" + CLIENT +
                     "\",\"type\":\"SOURCE\",\"resources\":null,\"instances\":[{\"instance_id\":\"" + CLIENT +
                     "\",\"node_id\":\"" + CLIENT + "\",\"workers\":null}]}");
    array("module_inventory.json", rows);
  }

  std::string instances(const Text& module) const
  {
    std::string list;
    for (const Station& station : work_.stations) {
      if (station.module != module)
        continue;
      list += (list.empty() ? "{" : ",{") + ("\"instance_id\":\"" + station.instance) + "\",\"node_id\":\"" + station.node + "\"";
      list += ",\"workers\":" + (station.slots == NONE ? "null" : std::to_string(station.slots));
      if (station.queue_limit != NONE)
        list += ",\"queue_limit\":" + std::to_string(station.queue_limit);
      if (station.slots != NONE)
        list += std::string(R"(,"slot_policy":")") + (station.is_released ? "released" : "held") + R"(","slots_src":"told")";
      list += "}";
    }
    return list.empty() ? "" : ",\"instances\":[" + list + "]";
  }

  std::string endpoints(const Text& module) const
  {
    std::string list;
    for (size_t index = 0; index < endpoints_.size(); ++index) {
      if (work_.endpoints[index].module != module || endpoints_[index] == 0)
        continue;
      list += (list.empty() ? "{" : ",{") + work_.endpoints[index].in_inventory;
      list += ",\"calls\":" + std::to_string(endpoints_[index]) + "}";
    }
    return list.empty() ? "" : ",\"endpoints\":[" + list + "]";
  }

  void array(const char* name, const std::vector<std::string>& rows)
  {
    Out out(folder_ / name);
    out.raw("[\n");
    for (size_t row = 0; row < rows.size(); ++row)
      out.raw(rows[row]).raw(row + 1 < rows.size() ? ",\n" : "\n");
    out.raw("]\n").finish();
  }

  uint64_t placement()
  {
    Out out(folder_ / "placement_events.jsonl");
    auto start = [&](std::string_view app_id, std::string_view module, std::string_view instance, std::string_view node) {
      out.raw("{\"ts\":").ms(work_.epoch + first_ns_).raw(",\"app_id\":").raw(app_id).text("module_id", module);
      out.text("instance_id", instance).text("node_id", node).text("event", "start").text("stage", work_.stage(Text(node)));
      out.raw(",\"inferred\":false");
    };
    for (const Station& station : work_.stations) {
      std::string_view app_id = "null";
      for (const Module& module : work_.modules)
        if (module.name == station.module)
          app_id = module.app_id;
      start(app_id, station.module, station.instance, station.node);
      if (station.slots != NONE)
        out.integer("workers", station.slots);
      if (station.queue_limit != NONE)
        out.integer("queue_limit", station.queue_limit);
      if (station.slots != NONE)
        out.text("slot_policy", station.is_released ? "released" : "held");
      out.raw("}").end_line();
    }
    if (summary_.client_calls > 0) {
      start("null", CLIENT, CLIENT, CLIENT);
      out.raw("}").end_line();
    }
    out.finish();
    return out.lines;
  }

  void meta(uint64_t invocations, uint64_t calls, uint64_t starts, const std::string& simulated_by)
  {
    Out out(folder_ / "run_meta.json");
    out.raw("{\"run_id\":\"").raw(run_id_).raw("\",\"rate\":null,\"duration\":null,\"scen\":\"simgrid\",\"img\":null,\"git_sha\":null");
    out.raw(",\"workers\":null").raw(work_.replay).text("simulated_by", simulated_by).text("cctf_version", "1");
    out.text("normalizer_version", simulated_by).ms("started_ts", work_.epoch + first_ns_).ms("ended_ts", work_.epoch + last_ns_);
    out.text("time_base", "unix_utc").raw(",\"counts\":{\"spans\":").number(invocations + calls);
    out.raw(",\"points\":0,\"logs\":0,\"rows\":{\"calls.jsonl\":").number(calls).raw(",\"host_metrics.jsonl\":0,\"invocations.jsonl\":");
    out.number(invocations).raw(",\"link_metrics.jsonl\":0,\"placement_events.jsonl\":").number(starts);
    out.raw(",\"system_stats.jsonl\":0},\"duplicates\":0,\"orphans\":0,\"late\":0,\"unknown_node\":0,\"rejected\":{}");
    out.raw(",\"spans_by_outcome\":{\"rows\":").number(invocations + calls);
    out.raw(",\"inner\":0,\"asides\":0,\"control\":0,\"duplicates\":0,\"rejected\":0}}}\n").finish();
  }

  struct Names {
    std::string names, place;
  };

  const Workload& work_;
  const Simulator& simulator_;
  fs::path folder_;
  std::string run_id_;
  std::vector<Names> stations_;
  std::vector<uint64_t> endpoints_;
  Summary summary_;
  int64_t first_ns_ = 0, last_ns_ = 0;
  bool has_cpus_ = simulator_.has_cpus();
};

// The last part of a path, which is the run id.
std::string name_of(const std::string& folder)
{
  fs::path path = fs::absolute(folder).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

} // namespace

void check_folder(const std::string& folder)
{
  if (fs::exists(folder))
    throw std::runtime_error(folder + " exists: choose another folder with --out");
  std::string name = name_of(folder);
  bool is_valid = !name.empty() && name.size() <= 128 && name[0] != '.' && name[0] != '-' && name != "latest";
  for (unsigned char c : name)
    is_valid &= std::isalnum(c) || c == '.' || c == '_' || c == '-';
  if (!is_valid)
    throw std::runtime_error("invalid run id " + name + ": the name of the folder of --out has letters, digits, '.', '_' and '-' only");
}

Summary write_results(const Workload& work, const Simulator& simulator, const std::string& folder, const std::string& simulated_by)
{
  fs::path hidden = fs::absolute(folder).lexically_normal();
  if (!hidden.has_filename())
    hidden = hidden.parent_path();
  fs::path final_path = hidden;
  hidden.replace_filename("." + hidden.filename().string() + ".unfinished");
  try {
    fs::remove_all(hidden);
    fs::create_directories(hidden / "cctf");
    Summary summary = Results(work, simulator, hidden / "cctf", name_of(folder)).write(simulated_by);
    fs::rename(hidden, final_path);
    return summary;
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(hidden, ignored);
    throw;
  }
}
