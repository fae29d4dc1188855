//! Voters of runs that are no replays of one another, by module and endpoint.
