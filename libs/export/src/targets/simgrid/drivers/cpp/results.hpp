// The simulated run as a folder of CCTF files.
#pragma once

#include <string>

#include "simulator.hpp"

struct Summary {
  uint64_t invocations = 0, calls = 0, client_calls = 0;
  uint64_t refused = 0, failed = 0;
  uint64_t unfinished = 0;  // arrived and never ended
  double seconds = 0;       // from the first to the last event
};

// Writes FOLDER/cctf with all ten files; its run id is the folder's name. Throws std::runtime_error with a sentence; a folder that
// is there stays as it is, and nothing half-written is left.
Summary write_results(const Workload& work, const Simulator& simulator, const std::string& folder,
                      const std::string& simulated_by);

// Throws std::runtime_error if results cannot go there.
void check_folder(const std::string& folder);
