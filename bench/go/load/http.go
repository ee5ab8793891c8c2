package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

const callTimeout = 60 * time.Second

// overHTTP returns the call of a caller with its own connection, which stays open.
func overHTTP(target, path string, _ int, body func(uint64) []byte, expect []byte) call {
	client := &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}}
	return func(number uint64) error {
		response, err := client.Post("http://"+target+path, "application/json", bytes.NewReader(body(number)))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("HTTP %d: %.300s", response.StatusCode, answer)
		}
		return check(answer, expect)
	}
}
