// Reads the files of an export, which consist of lines with tab-separated fields.
#include "workload.hpp"

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace {

// The version of the files that this program reads.
constexpr int64_t VERSION = 2;

using std::string_view;

// A file of lines. The fields of a line are read one after the other.
class Lines {
public:
  explicit Lines(const std::string& path) : path_(path), file_(path)
  {
    if (!file_)
      throw std::runtime_error("cannot read " + path + ": give the folder of the export as the first argument");
  }

  // The next line that is not a comment.
  bool next()
  {
    while (std::getline(file_, line_)) {
      ++number_;
      if (!line_.empty() && line_[0] != '#') {
        rest_ = line_;
        is_over_ = false;
        return true;
      }
    }
    return false;
  }

  string_view text()
  {
    if (is_over_)
      fail("a field is missing");
    size_t end = rest_.find('\t');
    string_view field = rest_.substr(0, end);
    is_over_ = end == string_view::npos;
    rest_ = is_over_ ? string_view() : rest_.substr(end + 1);
    return field;
  }

  std::string string() { return std::string(text()); }

  // A number, or `none` for a hyphen.
  int64_t number(int64_t none = 0)
  {
    string_view field = text();
    if (field == "-")
      return none;
    return parse(field, 10);
  }

  uint32_t index() { return static_cast<uint32_t>(number(NONE)); }

  uint64_t hex()
  {
    string_view field = text();
    return field == "-" ? 0 : static_cast<uint64_t>(parse(field, 16));
  }

  bool flag() { return text() == "1"; }

  // The position of a word in a list.
  template <class T> T word(std::initializer_list<const char*> words)
  {
    string_view field = text();
    int place = 0;
    for (const char* word : words) {
      if (field == word)
        return static_cast<T>(place);
      ++place;
    }
    fail("invalid word " + std::string(field));
  }

  // Reads numbers that are separated by commas. `add` gets each one as text.
  template <class F> size_t list(F add)
  {
    string_view field = text();
    size_t count = 0;
    while (field != "-" && !field.empty()) {
      size_t end = field.find(',');
      add(field.substr(0, end));
      ++count;
      field = end == string_view::npos ? string_view() : field.substr(end + 1);
    }
    return count;
  }

  int64_t parse(string_view field, int base)
  {
    // A field ends at a tab, a comma or the end of the line. strtoull stops there.
    char* end = nullptr;
    bool is_negative = !field.empty() && field[0] == '-';
    uint64_t value = std::strtoull(field.data() + is_negative, &end, base);
    if (field.empty() || end != field.data() + field.size())
      fail("invalid number " + std::string(field));
    return is_negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
  }

  [[noreturn]] void fail(const std::string& cause)
  {
    throw std::runtime_error("cannot read " + path_ + ", line " + std::to_string(number_) + ": " + cause);
  }

private:
  std::string path_;
  std::ifstream file_;
  std::string line_;
  string_view rest_;
  size_t number_ = 0;
  bool is_over_ = false;
};

void read_names(Lines lines, Workload& work)
{
  while (lines.next()) {
    std::string what = lines.string();
    if (what == "version") {
      if (lines.number() > VERSION)
        lines.fail("the export is newer than this driver: build the driver of this export");
    } else if (what == "run")
      work.recorded_run = lines.string();
    else if (what == "epoch_ns")
      work.epoch = lines.number();
    else if (what == "replay")
      work.replay = lines.string();
    else if (what == "node") {
      Text name = lines.string(), stage = lines.string();
      work.nodes.push_back({name, stage, lines.string()});
    } else if (what == "link")
      work.links.push_back(lines.string());
    else if (what == "module") {
      Text name = lines.string(), app_id = lines.string();
      work.modules.push_back({name, app_id, lines.string()});
    } else if (what == "endpoint") {
      Text module = lines.string(), in_rows = lines.string();
      work.endpoints.push_back({module, in_rows, lines.string()});
    } else if (what == "label") {
      Text in_rows = lines.string();
      work.labels.push_back({in_rows, lines.string()});
    } else if (what == "error")
      work.errors.push_back(lines.string());
  }
}

void read_stations(Lines lines, Workload& work)
{
  while (lines.next()) {
    Station station;
    station.module = lines.string();
    station.instance = lines.string();
    station.node = lines.string();
    station.slots = lines.index();
    station.is_released = lines.word<bool>({"held", "released"});
    station.queue_limit = lines.index();
    station.recorded_node = lines.string();
    station.cpu_wait_kept_ppm = lines.number();
    work.stations.push_back(station);
  }
}

Wait read_wait(Lines& lines, Workload& work, uint32_t first_call)
{
  auto add = [&](string_view field) {
    work.waits_for.push_back(first_call + static_cast<uint32_t>(lines.parse(field, 10)));
  };
  Wait wait;
  wait.first = work.waits_for.size();
  wait.after = lines.list(add);
  wait.any_of = lines.list(add);
  wait.need = lines.number();
  wait.gap = lines.number();
  wait.cpu = lines.number();
  wait.cpu_wait = lines.number();
  wait.slot_wait = lines.number();
  wait.wakeup = lines.number();
  return wait;
}

void read_root(Lines& lines, Workload& work)
{
  Root root;
  root.at = lines.number();
  std::string trace = lines.string();
  if (trace.size() != 32)
    lines.fail("invalid trace id " + trace);
  root.trace_high = lines.parse(string_view(trace.substr(0, 16)), 16);
  root.trace_low = lines.parse(string_view(trace).substr(16), 16);
  root.call_span_id = lines.hex();
  root.out = lines.number();
  root.back = lines.number();
  root.invocation = work.invocations.size();
  work.roots.push_back(root);
}

void read_invocation(Lines& lines, Workload& work)
{
  Invocation invocation;
  invocation.root = work.roots.size() - 1;
  invocation.first_call = work.calls.size();
  invocation.span_id = lines.hex();
  invocation.station = lines.index();
  invocation.endpoint = lines.index();
  invocation.kind = lines.word<SpanKind>({"server", "consumer", "internal", "client", "producer"});
  invocation.queues = lines.flag();
  invocation.has_failed = lines.flag();
  invocation.fails = lines.word<Fails>({"never", "always", "with_calls"});
  invocation.cpu = lines.number(-1);
  invocation.beside = lines.number();
  invocation.bytes_in = lines.number(-1);
  invocation.bytes_out = lines.number(-1);
  invocation.status = lines.number(-1);
  invocation.error = lines.index();
  invocation.recorded_wait = lines.number();
  invocation.wakeup = lines.number();
  invocation.answer = read_wait(lines, work, invocation.first_call);
  if (invocation.station >= work.stations.size() || invocation.endpoint >= work.endpoints.size())
    lines.fail("unknown station or endpoint");
  work.invocations.push_back(invocation);
}

// Callees are positions in the root's list of invocations, each with its delay. So a callee can be later in the file.
void read_callees(Lines& lines, std::vector<std::vector<std::pair<uint32_t, int64_t>>>& callees)
{
  callees.emplace_back();
  lines.list([&](string_view field) {
    size_t colon = field.find(':');
    if (colon == string_view::npos)
      lines.fail("invalid callee " + std::string(field));
    std::string place(field.substr(0, colon)), delay(field.substr(colon + 1));
    callees.back().emplace_back(lines.parse(place, 10), lines.parse(delay, 10));
  });
}

void read_call(Lines& lines, Workload& work)
{
  Invocation& invocation = work.invocations.back();
  Call call;
  call.invocation = work.invocations.size() - 1;
  call.span_id = lines.hex();
  call.label = lines.index();
  call.what = lines.word<What>({"request", "message", "sleep"});
  call.ends = lines.word<Ends>({"answer", "duration", "timeout"});
  call.duration = lines.number();
  call.is_after_answer = lines.flag();
  uint32_t attempt = lines.index();
  call.retry_of = attempt == NONE ? NONE : invocation.first_call + attempt;
  call.is_failed = lines.flag();
  call.fails_invocation = lines.flag();
  call.out = lines.number();
  call.back = lines.number();
  call.ahead = lines.number();
  call.early = lines.number();
  call.bytes_out = lines.number(-1);
  call.bytes_in = lines.number(-1);
  call.status = lines.number(-1);
  call.error = lines.index();
  call.resends = lines.number();
  call.wait = read_wait(lines, work, invocation.first_call);
  ++invocation.calls;
  work.calls.push_back(call);
}

void link(Lines& lines, Workload& work, uint32_t first_call,
          const std::vector<std::vector<std::pair<uint32_t, int64_t>>>& callees)
{
  for (size_t place = 0; place < callees.size(); ++place) {
    uint32_t call = first_call + place, before = NONE;
    for (auto [callee, delay] : callees[place]) {
      uint32_t number = work.roots.back().invocation + callee;
      if (number >= work.invocations.size())
        lines.fail("unknown callee");
      (before == NONE ? work.calls[call].callee : work.invocations[before].sibling) = number;
      work.invocations[number].caller = call;
      work.invocations[number].delay = delay;
      before = number;
    }
  }
}

void read_work(Lines lines, Workload& work)
{
  std::vector<std::vector<std::pair<uint32_t, int64_t>>> callees;
  uint32_t first_call = 0;
  while (lines.next()) {
    string_view what = lines.text();
    if (what == "root") {
      link(lines, work, first_call, callees);
      callees.clear();
      first_call = work.calls.size();
      read_root(lines, work);
    } else if (what == "invocation" && !work.roots.empty())
      read_invocation(lines, work);
    else if (what == "call" && !work.invocations.empty()) {
      read_callees(lines, callees);
      read_call(lines, work);
    } else
      lines.fail("invalid line");
  }
  link(lines, work, first_call, callees);
  for (uint32_t call : work.waits_for)
    if (call >= work.calls.size())
      lines.fail("a wait for an unknown call");
}

// The value of an attribute in a tag of XML. Empty if the attribute is absent.
std::string attribute(string_view tag, const std::string& name)
{
  size_t begin = tag.find(" " + name + "=\"");
  if (begin == string_view::npos)
    return {};
  begin += name.size() + 3;
  std::string value(tag.substr(begin, tag.find('"', begin) - begin));
  for (auto [entity, plain] : {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}})
    for (size_t at = 0; (at = value.find(entity, at)) != std::string::npos; ++at)
      value.replace(at, string_view(entity).size(), plain);
  return value;
}

} // namespace

const Text& Workload::stage(const Text& node) const
{
  static const Text unknown = "unknown";
  for (const Node& known : nodes)
    if (known.name == node)
      return known.stage;
  return unknown;
}

Workload read_workload(const std::string& folder)
{
  Workload work;
  read_names(Lines(folder + "/names.tsv"), work);
  read_stations(Lines(folder + "/stations.tsv"), work);
  read_work(Lines(folder + "/workload.tsv"), work);
  return work;
}

std::vector<std::pair<std::string, std::string>> read_routes(const std::string& platform)
{
  std::ifstream file(platform);
  std::vector<std::pair<std::string, std::string>> routes;
  std::string line;
  while (std::getline(file, line)) {
    size_t begin = line.find("<route ");
    if (begin == std::string::npos)
      continue;
    string_view tag = string_view(line).substr(begin);
    routes.emplace_back(attribute(tag, "src"), attribute(tag, "dst"));
    if (attribute(tag, "symmetrical") != "NO")
      routes.emplace_back(attribute(tag, "dst"), attribute(tag, "src"));
  }
  return routes;
}
