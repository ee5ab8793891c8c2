// A model server with OpenAI's API, which always gives the same answer, after a delay.
//
//	POST /v1/chat/completions   returns the answer after the delay
//	PUT  /delay?ms=50           sets the delay of all further answers
//	GET  /calls                 returns the number of answers and the CPU seconds used
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const chat = "[[ ## answer ## ]]\nParis, on the Seine, is the capital of France.\n\n" +
	"[[ ## confidence ## ]]\n0.93\n\n[[ ## sources ## ]]\n[\"atlas\", \"almanac\"]\n\n[[ ## completed ## ]]"

const object = `{"answer": "Paris, on the Seine, is the capital of France.", "confidence": 0.93, "sources": ["atlas", "almanac"]}`

func completion(content string) []byte {
	body, err := json.Marshal(map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "bench",
		"choices": []any{map[string]any{
			"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": content},
		}},
		"usage": map[string]any{"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
	})
	if err != nil {
		panic(err)
	}
	return body
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address host:port")
	flag.Parse()
	var delay, calls atomic.Int64
	asChat, asObject := completion(chat), completion(object)

	http.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if wait := delay.Load(); wait > 0 {
			timer := time.NewTimer(time.Duration(wait))
			select {
			case <-timer.C:
			case <-r.Context().Done():
				timer.Stop()
				return
			}
		}
		answer := asChat
		if bytes.Contains(request, []byte(`"response_format"`)) {
			answer = asObject
		}
		calls.Add(1)
		w.Header().Set("content-type", "application/json")
		w.Header().Set("content-length", strconv.Itoa(len(answer)))
		w.Write(answer)
	})
	http.HandleFunc("PUT /delay", func(w http.ResponseWriter, r *http.Request) {
		ms, err := strconv.ParseFloat(r.URL.Query().Get("ms"), 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		delay.Store(int64(ms * float64(time.Millisecond)))
	})
	http.HandleFunc("GET /calls", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"calls": calls.Load(), "cpuSeconds": cpuSeconds()})
	})

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		panic(err)
	}
	fmt.Println("ready", listener.Addr())
	panic(http.Serve(listener, nil))
}
