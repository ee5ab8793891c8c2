// The load generator: calls a server with a number of callers at a time, and prints the result as JSON.
// Each call replaces the digits 00000000 in the body by its own number, so that no two calls are the same.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type result struct {
	Ok         int     `json:"ok"`
	Failed     int     `json:"failed"`
	Failure    string  `json:"failure"`
	Seconds    float64 `json:"seconds"`
	P50        float64 `json:"p50Ms"`
	P99        float64 `json:"p99Ms"`
	CPUSeconds float64 `json:"cpuSeconds"`
}

// call makes one call; the number makes its body unique.
type call func(number uint64) error

func main() {
	protocol := flag.String("protocol", "http", "http; or grpc, whose body is an encoded message")
	targets := flag.String("targets", "", "addresses host:port, separated by commas; callers are spread over them")
	path := flag.String("path", "", "the path, or the full name of the method")
	body := flag.String("body", "", "file of the request's body")
	expect := flag.String("expect", "", "text that every answer contains")
	callers := flag.Int("c", 1, "callers at a time")
	seconds := flag.Float64("seconds", math.Inf(1), "time after which no call starts")
	count := flag.Int64("count", math.MaxInt64, "maximum number of calls")
	flag.Parse()
	request, err := os.ReadFile(*body)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}

	open := overHTTP
	if *protocol == "grpc" {
		open = overGRPC
	}
	all := strings.Split(*targets, ",")
	calls := make([]call, *callers)
	for i := range calls {
		calls[i] = open(all[i%len(all)], *path, i/len(all), template(request), []byte(*expect))
	}

	// The clock is the first number, so that no number repeats one of an earlier run.
	var number atomic.Uint64
	number.Store(uint64(time.Now().UnixMilli()))
	var started atomic.Int64
	var running sync.WaitGroup
	took := make([][]time.Duration, *callers)
	failures := make([][]string, *callers)
	until := time.Duration(math.MaxInt64)
	if !math.IsInf(*seconds, 1) {
		until = time.Duration(*seconds * float64(time.Second))
	}
	began := time.Now()
	for i, makeCall := range calls {
		running.Go(func() {
			for time.Since(began) < until && started.Add(1) <= *count {
				from := time.Now()
				if err := makeCall(number.Add(1)); err != nil {
					failures[i] = append(failures[i], err.Error())
					continue
				}
				took[i] = append(took[i], time.Since(from))
			}
		})
	}
	running.Wait()
	report(time.Since(began), took, failures)
}

func report(elapsed time.Duration, took [][]time.Duration, failures [][]string) {
	var all []time.Duration
	for _, of := range took {
		all = append(all, of...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	summary := result{Ok: len(all), Seconds: elapsed.Seconds(), P50: quantile(all, 0.5), P99: quantile(all, 0.99)}
	for _, of := range failures {
		summary.Failed += len(of)
		if len(of) > 0 && summary.Failure == "" {
			summary.Failure = of[0]
		}
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	summary.CPUSeconds = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	if err := json.NewEncoder(os.Stdout).Encode(summary); err != nil {
		panic(err)
	}
}

// quantile is in milliseconds; 0 without calls.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(q*float64(len(sorted)-1))]) / float64(time.Millisecond)
}
