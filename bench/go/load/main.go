// Calls a server over and over, as many callers at a time as it is told, and says as JSON how that went.
// Where a body has the digits 00000000, each call has its own number there, so that no two calls ask the same.
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

// A call of one caller's; the number makes it unlike every other.
type call func(number uint64) error

func main() {
	protocol := flag.String("protocol", "http", "http, or grpc: the body is a message's bytes")
	targets := flag.String("targets", "", "addresses by commas, each host:port; callers are spread over them")
	path := flag.String("path", "", "the path, or the full name of the method")
	body := flag.String("body", "", "a file")
	expect := flag.String("expect", "", "what every answer has in it")
	callers := flag.Int("c", 1, "callers at a time")
	seconds := flag.Float64("seconds", math.Inf(1), "for how long calls are begun")
	count := flag.Int64("count", math.MaxInt64, "how many calls are begun")
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

	// Numbers go on from the last run's, since they begin at the time.
	var number atomic.Uint64
	number.Store(uint64(time.Now().UnixMilli()))
	var begun atomic.Int64
	var waiting sync.WaitGroup
	took := make([][]time.Duration, *callers)
	failures := make([][]string, *callers)
	until := time.Duration(math.MaxInt64)
	if !math.IsInf(*seconds, 1) {
		until = time.Duration(*seconds * float64(time.Second))
	}
	began := time.Now()
	for i, once := range calls {
		waiting.Go(func() {
			for time.Since(began) < until && begun.Add(1) <= *count {
				from := time.Now()
				if err := once(number.Add(1)); err != nil {
					failures[i] = append(failures[i], err.Error())
					continue
				}
				took[i] = append(took[i], time.Since(from))
			}
		})
	}
	waiting.Wait()
	report(time.Since(began), took, failures)
}

func report(elapsed time.Duration, took [][]time.Duration, failures [][]string) {
	var all []time.Duration
	for _, of := range took {
		all = append(all, of...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	said := result{Ok: len(all), Seconds: elapsed.Seconds(), P50: quantile(all, 0.5), P99: quantile(all, 0.99)}
	for _, of := range failures {
		said.Failed += len(of)
		if len(of) > 0 && said.Failure == "" {
			said.Failure = of[0]
		}
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	said.CPUSeconds = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		panic(err)
	}
}

// In milliseconds, and of nothing 0.
func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(q*float64(len(sorted)-1))]) / float64(time.Millisecond)
}
