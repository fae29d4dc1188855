// The exported work: stations, names, and the invocations and calls of all roots as flat lists.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

constexpr uint32_t NONE = UINT32_MAX;
constexpr int64_t NEVER = INT64_MAX;

// Text in the form that it has in the files: with the escape sequences of JSON, but without quotes.
using Text = std::string;

struct Station {
  Text module, instance, node;
  // The node on which the work was recorded. CPU times are times on this node's CPUs.
  Text recorded_node;
  uint32_t slots = NONE;        // NONE: unlimited
  uint32_t queue_limit = NONE;  // NONE: unlimited
  bool is_released = false;
  // Millionths of the recorded waits for CPUs that other processes of the recorded node caused.
  int64_t cpu_wait_kept_ppm = 0;
};

// The calls for which a call or the answer waits, and the own time after these. Times are nanoseconds.
struct Wait {
  uint32_t first = 0;  // in Workload::waits_for: first those that must all have ended, then those of which `need` must have
  uint16_t after = 0, any_of = 0, need = 0;
  int64_t gap = 0, cpu = 0;
  // Recorded waits for a CPU and for the slot, and the wake-up of the slot.
  int64_t cpu_wait = 0, slot_wait = 0, wakeup = 0;
};

enum class Fails : uint8_t { Never, Always, WithCalls };
enum class What : uint8_t { Request, Message, Sleep };
enum class Ends : uint8_t { Answer, Duration, Timeout };
enum class SpanKind : uint8_t { Server, Consumer, Internal, Client, Producer };

struct Invocation {
  uint64_t span_id = 0;
  uint32_t root = 0, station = 0, endpoint = 0;
  uint32_t first_call = 0, calls = 0;
  uint32_t caller = NONE, sibling = NONE;  // the call that causes it, and the next invocation of that call
  int64_t delay = 0;                       // after the first invocation of that call; for a message, after its end
  int64_t cpu = -1, beside = 0;            // own CPU time, -1 if unknown; its part beside the calls
  int64_t bytes_in = -1, bytes_out = -1;   // -1: unknown
  int32_t status = -1;                     // -1: unknown
  uint32_t error = NONE;
  int64_t recorded_wait = 0, wakeup = 0;
  Wait answer;
  SpanKind kind = SpanKind::Server;
  Fails fails = Fails::Never;
  bool has_failed = false;  // in the recording
  bool queues = false;      // whether it takes a slot of its station
};

struct Call {
  uint64_t span_id = 0;  // 0: the recording has no row of it
  uint32_t invocation = 0, callee = NONE, retry_of = NONE;
  uint32_t label = NONE, error = NONE, resends = 0;
  int32_t status = -1;
  int64_t out = 0, back = 0, ahead = 0, early = 0, duration = 0;
  int64_t bytes_out = -1, bytes_in = -1;
  Wait wait;
  What what = What::Request;
  Ends ends = Ends::Answer;
  bool is_after_answer = false, is_failed = false, fails_invocation = false;
};

struct Root {
  int64_t at = 0, out = 0, back = 0;
  uint64_t trace_high = 0, trace_low = 0;
  uint64_t call_span_id = 0;  // 0: the recording has no row of the call from outside
  uint32_t invocation = 0;
};

struct Node {
  Text name, stage, row;
};

struct Module {
  Text name, app_id, row;
};

struct Endpoint {
  Text module, in_rows, in_inventory;
};

struct Label {
  Text in_rows, peer;
};

struct Workload {
  Text recorded_run, replay;
  int64_t epoch = 0;
  std::vector<Station> stations;
  std::vector<Node> nodes;
  std::vector<Text> links;
  std::vector<Module> modules;
  std::vector<Endpoint> endpoints;
  std::vector<Label> labels;
  std::vector<Text> errors;
  std::vector<Root> roots;
  std::vector<Invocation> invocations;
  std::vector<Call> calls;
  std::vector<uint32_t> waits_for;

  const Text& stage(const Text& node) const;
};

// Reads the folder of an export. Throws std::runtime_error with a sentence.
Workload read_workload(const std::string& folder);

// The pairs of hosts between which platform.xml has a route. If SimGrid were asked for a missing route, it would end the program.
std::vector<std::pair<std::string, std::string>> read_routes(const std::string& platform);
