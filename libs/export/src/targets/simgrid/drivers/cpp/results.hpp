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

// Writes FOLDER/cctf with all ten files. The run id is the name of the folder. Throws std::runtime_error with a sentence. An
// existing folder is not changed, and no incomplete folder remains.
Summary write_results(const Workload& work, const Simulator& simulator, const std::string& folder,
                      const std::string& simulated_by);

// Throws std::runtime_error if results cannot be written there.
void check_folder(const std::string& folder);
