// vegeta-pacer sends recorded requests at recorded times with vegeta's library, and prints how late it was as JSON:
//
//	vegeta-pacer URL < arrivals
//
// A line of the input is a request: its time after the start in nanoseconds, the bytes of its body, its method, and its
// path with its query, separated by spaces. The times do not decrease.
//
// The lateness of a request is its timestamp minus its time. Both are counted from the first request, because vegeta does not
// report its start. So a delay of the first request does not count.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Maximum length of a line: a path and a query have at most 4,096 bytes each.
const lineBytesMax = 16 << 10

type request struct {
	at     time.Duration
	bytes  int
	method string
	path   string
}

// pacer starts each request at its time.
type pacer []request

func (requests pacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	if hits >= uint64(len(requests)) {
		return 0, true
	}
	return max(0, requests[hits].at-elapsed), false
}

// Rate is used only by vegeta's own plots.
func (requests pacer) Rate(time.Duration) float64 {
	last := requests[len(requests)-1].at
	return float64(len(requests)) / max(last.Seconds(), 1e-9)
}

func read() ([]request, int, error) {
	var requests []request
	largest := 0
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		var next request
		if _, err := fmt.Sscan(lines.Text(), &next.at, &next.bytes, &next.method, &next.path); err != nil {
			return nil, 0, fmt.Errorf("cannot read line %d: %w", len(requests)+1, err)
		}
		largest = max(largest, next.bytes)
		requests = append(requests, next)
	}
	return requests, largest, lines.Err()
}

type report struct {
	Requests int                `json:"requests"`
	Success  float64            `json:"success_ratio"`
	Rate     float64            `json:"rate_reached"`
	Lateness map[string]float64 `json:"lateness_ms"`
}

func attack(url string, requests []request, largest int) report {
	body := make([]byte, largest)
	var next atomic.Uint64
	targeter := func(target *vegeta.Target) error {
		number := next.Add(1) - 1
		if number >= uint64(len(requests)) {
			return vegeta.ErrNoTargets
		}
		request := &requests[number]
		target.Method = request.method
		target.URL = url + request.path
		target.Body = body[:request.bytes]
		return nil
	}
	attacker := vegeta.NewAttacker(vegeta.MaxBody(0), vegeta.Redirects(vegeta.NoFollow))
	sent := make([]time.Time, len(requests))
	found := report{}
	for result := range attacker.Attack(targeter, pacer(requests), 0, "") {
		if result.Seq < uint64(len(sent)) {
			sent[result.Seq] = result.Timestamp
			found.Requests++
		}
		if result.Error == "" {
			found.Success++
		}
	}
	late := make([]float64, 0, len(sent))
	for number, at := range sent {
		if !at.IsZero() {
			planned := requests[number].at - requests[0].at
			late = append(late, float64(at.Sub(sent[0])-planned)/1e6)
		}
	}
	last := len(sent) - 1
	found.Rate = float64(last) / max(sent[last].Sub(sent[0]).Seconds(), 1e-9)
	found.Success /= float64(len(requests))
	sort.Float64s(late)
	quantile := func(share float64) float64 { return late[int(share*float64(len(late)-1))] }
	found.Lateness = map[string]float64{"p50": quantile(0.5), "p99": quantile(0.99), "max": quantile(1)}
	return found
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("vegeta-pacer URL < arrivals")
	}
	requests, largest, err := read()
	if err != nil {
		return err
	}
	if len(requests) == 0 {
		return fmt.Errorf("cannot send requests: standard input has no lines")
	}
	return json.NewEncoder(os.Stdout).Encode(attack(os.Args[1], requests, largest))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vegeta-pacer:", err)
		os.Exit(1)
	}
}
